#!/usr/bin/env bash
# Style, types, roles, YAML and shell. Every check runs even when an earlier one complains.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()

check() {
    local name=$1 started=$SECONDS output
    shift
    if output=$("$@" 2>&1); then
        printf '%-16s ok      %4d s\n' "$name" $((SECONDS - started))
    else
        printf '%-16s failed  %4d s\n%s\n' "$name" $((SECONDS - started)) "$output"
        failed+=("$name")
    fi
}

mapfile -t shell_files < <(git ls-files '*.sh' '.ci/run')

check ruff ruff check .
check format ruff format --check .
check mypy mypy provision/dagfleet coordinator/clt_queued_run_coordinator launcher/dagster_multihost_launcher \
    inventory/lab/locations/etl/etl inventory/lab/locations/reporting/reporting roles/backup/files/lib/backup/dagfleet_backup roles/code_server/files/lib/code_servers \
    plugins scripts
check yamllint yamllint --strict .
check ansible-lint env ANSIBLE_LINT_NODEPS=1 ANSIBLE_INVENTORY_UNPARSED_FAILED=false ansible-lint --offline --strict
check shellcheck shellcheck "${shell_files[@]}"
if command -v terraform >/dev/null; then
    # Nothing is downloaded: the modules need no provider, and the clouds' are a double, which knows the arguments
    # that the examples use and no others.
    check "terraform fmt" terraform fmt -check -recursive -no-color terraform
    check "terraform" scripts/terraform_validate.sh
else
    printf '%-16s skipped         Terraform is not installed\n' terraform
fi
check reference .venv/bin/python scripts/generate_reference.py --check
check "role READMEs" .venv/bin/python scripts/generate_role_readmes.py --check

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi

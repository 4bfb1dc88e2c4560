#!/bin/sh
# Run `terraform validate` on every module and example, in a copy: it needs a folder of its own to work in.
set -eu
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z terraform | xargs -0 cp --parents -t "$copy"
TF_CLI_CONFIG_FILE=$(scripts/terraform_double.sh)
export TF_CLI_CONFIG_FILE
for folder in "$copy"/terraform/modules/* "$copy"/terraform/examples/*; do
    terraform -chdir="$folder" get -no-color >/dev/null
    terraform -chdir="$folder" validate -no-color >"$copy/said" 2>&1 || {
        cat "$copy/said"
        echo "${folder#"$copy/"} is not valid"
        exit 1
    }
done

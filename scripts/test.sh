#!/usr/bin/env bash
# Run the suites named as arguments, or all of them, each with what it needs; end with one line a suite.
# usage: scripts/test.sh [unit|component|older|docker|molecule|e2e]...
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$PWD/.venv/bin:$PATH" PYTHONUNBUFFERED=1

suites=("$@")
((${#suites[@]})) || suites=(unit component older docker molecule e2e)
summary=()
failed=0
# Whoever sees only the end of a log should see which tests failed.
DAGFLEET_FAILURES=$(mktemp)
export DAGFLEET_FAILURES
trap 'rm -f "$DAGFLEET_FAILURES"' EXIT

# Distribution packages that a suite runs for real; nothing is installed when all are there.
need() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "these suites need ${missing[*]}: install them, or run this as root" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

run() {
    case $1 in
    unit) python -m pytest tests/unit --numprocesses 2 --dist loadfile ;;
    component) need haproxy postgresql pgbouncer openssl && python -m pytest tests/component ;;
    # Both plugins again, with the older Dagster that they support; they use nothing else of this project.
    # What kills daemons for minutes proves PostgreSQL's part, which is the same.
    older)
        need postgresql && scripts/environment.sh dagster-1.12 coordinator launcher &&
            .build/environments/dagster-1.12/bin/python -m pytest --numprocesses 2 --dist loadfile \
                tests/{unit,component}/{coordinator,queue,launcher} \
                --ignore tests/component/queue/test_nothing_lost.py
        ;;
    docker) need openssl && python -m dagfleet.lab.prepare && python -m pytest tests/docker ;;
    molecule) python -m dagfleet.lab.prepare && scripts/molecule.sh test ;;
    e2e) need chromium openssl && python -m dagfleet.lab.prepare && python -m pytest tests/e2e ;;
    *)
        echo "no suite named \"$1\"; there are: unit component older docker molecule e2e" >&2
        return 3
        ;;
    esac
}

for suite in "${suites[@]}"; do
    echo "== $suite"
    started=$SECONDS
    if run "$suite"; then verdict=passed; else verdict=FAILED failed=1; fi
    summary+=("$(printf '%-10s %-7s %4d s' "$suite" "$verdict" $((SECONDS - started)))")
done

echo "== summary"
printf '%s\n' "${summary[@]}"
cat "$DAGFLEET_FAILURES"
exit "$failed"

#!/usr/bin/env bash
# Molecule on the practice machines, offline.
# usage: scripts/molecule.sh test            every scenario, from nothing and back
#        scripts/molecule.sh converge ROLE   converge one role again and keep its machine
#        scripts/molecule.sh destroy ROLE    remove its machine
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" MOLECULE_GLOB='tests/molecule/*/molecule.yml'
action=$1 role=${2:-}
case $action in
test) exec molecule -c tests/molecule/config.yml test --all ;;
converge | destroy | verify)
    if [ ! -f "tests/molecule/$role/molecule.yml" ]; then
        echo "no scenario named \"$role\"; there are: $(cd tests/molecule && echo */)" >&2
        exit 3
    fi
    # Molecule reads every scenario that it is shown, a second each.
    exec env MOLECULE_GLOB="tests/molecule/$role/molecule.yml" \
        molecule -c tests/molecule/config.yml "$action" -s "$role"
    ;;
*)
    echo "usage: scripts/molecule.sh test | converge ROLE | verify ROLE | destroy ROLE" >&2
    exit 2
    ;;
esac

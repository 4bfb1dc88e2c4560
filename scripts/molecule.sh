#!/usr/bin/env bash
# Molecule on the practice machines, offline.
# usage: scripts/molecule.sh test              the usual scenarios, from nothing and back
#        scripts/molecule.sh test SCENARIO     one by its name, also fleet
#        scripts/molecule.sh test debian_13    the usual scenarios on Debian 13
#        scripts/molecule.sh converge ROLE     converge one role again and keep its machine
#        scripts/molecule.sh verify ROLE       verify what is there
#        scripts/molecule.sh destroy ROLE      remove its machine
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
action=${1:-} role=${2:-}
# DAGFLEET_SUITE=trixie is another Debian for any of them, with a machine image of its own.
# The roles work with Ansible's own strategy and with the CLI's, which takes a third of the time (decision 0011).
# Scenarios that the usual run converges with Ansible's own strategy.
plainly='base|postgres|process_location'

all() {
    MOLECULE_GLOB="tests/molecule/{$(IFS=, && echo "$*")}/molecule.yml" molecule -c tests/molecule/config.yml test --all
}

swiftly() {
    mapfile -t settings < <(python -c '
from dagfleet.runner.strategy import environment
for name, value in environment().items():
    print(f"{name}={value}")')
    [ "${#settings[@]}" = 0 ] || export "${settings[@]}"
}

case $action in
test | converge | destroy | verify) ;;
*)
    echo "usage: scripts/molecule.sh test [SCENARIO] | converge ROLE | verify ROLE | destroy ROLE" >&2
    exit 2
    ;;
esac
if [ "$action $role" = "test debian_13" ]; then
    export DAGFLEET_SUITE=trixie
    role=
fi
mapfile -t scenarios < <(cd tests/molecule && printf '%s\n' */molecule.yml | sed 's|/.*||')
if [ "$action" = test ] && [ -z "$role" ]; then
    mapfile -t usual < <(printf '%s\n' "${scenarios[@]}" | grep -vx fleet)
    mapfile -t plain < <(printf '%s\n' "${usual[@]}" | grep -xE "$plainly")
    mapfile -t swift < <(printf '%s\n' "${usual[@]}" | grep -vxE "$plainly")
    all "${plain[@]}" || verdict=1
    swiftly
    all "${swift[@]}" || verdict=1
    exit "${verdict:-0}"
fi
if [ ! -f "tests/molecule/$role/molecule.yml" ]; then
    echo "no scenario named \"$role\"; there are: ${scenarios[*]}" >&2
    exit 3
fi
[ "$action" = test ] || swiftly
# Molecule reads every scenario that it is shown, a second each.
export MOLECULE_GLOB="tests/molecule/$role/molecule.yml"
exec molecule -c tests/molecule/config.yml "$action" -s "$role"

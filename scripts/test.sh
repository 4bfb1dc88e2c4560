#!/usr/bin/env bash
# Run the suites named as arguments, or all of them, each with what it needs; end with one line a suite.
# The older Dagster, Docker and Molecule work beside the other suites; their output comes after theirs.
# Suite "fleets" is run by its name alone: more practice fleets, half an hour more.
# usage: scripts/test.sh [unit|component|older|docker|molecule|e2e|fleets]...
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$PWD/.venv/bin:$PATH" PYTHONUNBUFFERED=1

# Fleets of their own: the other ways to Docker, Terraform, disturbed applies, hosts that come, leave and die, backups,
# a registry, another Dagster, a failover.
fleets=(tests/e2e/test_{docker_access,terraform,apply_survives,host_life,backup,registry,upgrade,failover}.py)
suites=("$@")
((${#suites[@]})) || suites=(unit component older docker molecule e2e)

results=$(mktemp -d)
beside=
trap '[ -z "$beside" ] || kill -- "-$beside" 2>/dev/null; rm -rf "$results"' EXIT
# Whoever sees only the end of a log should see which tests failed.
export DAGFLEET_FAILURES=$results/failures
touch "$DAGFLEET_FAILURES"

# Distribution packages that a suite runs for real.
packages() {
    case $1 in
    component) echo haproxy docker-registry postgresql pgbouncer openssl socat nftables iproute2 age python3-psycopg2 python3-h2 ;;
    older) echo postgresql ;;
    docker) echo docker-registry haproxy openssh-server openssl python3-h2 ;;
    e2e) echo chromium openssl ;;
    fleets) echo openssl age ;;
    esac
}

# Nothing is installed when all are there.
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

# Packages and the practice machines' images come before all suites: two of them must not install at once.
prepare() {
    local wanted=() engine='' before=''
    for suite in "$@"; do
        mapfile -t -O "${#wanted[@]}" wanted < <(packages "$suite" | tr ' ' '\n')
        case $suite in docker | molecule | e2e | fleets) engine=1 ;; esac
        case $suite in component | older | docker) before=1 ;; esac
    done
    need "${wanted[@]}" || return
    # Suites beside each other use it: one alone makes it.
    [ -z "$before" ] || older || return
    [ -z "$engine" ] || python -m dagfleet.lab.prepare
}

older=.build/environments/dagster-1.12/bin/python
older() { scripts/environment.sh dagster-1.12 coordinator launcher; }

run() {
    case $1 in
    unit) python -m pytest tests/unit --numprocesses 2 --dist loadfile ;;
    # Both plugins again, with the older Dagster that they support; they use nothing else of this project.
    # What kills daemons for minutes proves PostgreSQL's part, which is the same; dagster-k8s brings its own Dagster.
    older)
        local verdict=0
        older || return
        "$older" -m pytest --numprocesses 2 --dist loadfile \
            tests/{unit,component}/{coordinator,queue,launcher} \
            --ignore tests/component/queue/test_nothing_lost.py --ignore tests/component/launcher/test_kubernetes.py ||
            verdict=1
        # Does the older Dagster understand every question that the command line asks?
        PYTHONPATH=provision "$older" -m pytest tests/unit/control/test_documents.py || verdict=1
        return "$verdict"
        ;;
    # Then, in a minute, what a launch, a verdict and a step's container ask of the older Dagster.
    docker)
        local verdict=0
        python -m pytest tests/docker || verdict=1
        older && "$older" -m pytest tests/docker/launcher/test_{launch,verdicts,docker_executor}.py || verdict=1
        return "$verdict"
        ;;
    component) python -m pytest tests/component ;;
    e2e) python -m pytest tests/e2e "${fleets[@]/#/--ignore=}" ;;
    fleets) python -m pytest "${fleets[@]}" ;;
    molecule) scripts/molecule.sh test ;;
    esac
}

timed() {
    local started=$SECONDS verdict=passed
    run "$1" || verdict=FAILED
    printf '%-10s %-7s %4d s\n' "$1" "$verdict" $((SECONDS - started)) >"$results/$1"
}

for suite in "${suites[@]}"; do
    case $suite in unit | component | older | docker | molecule | e2e | fleets) continue ;; esac
    echo "no suite named \"$suite\"; there are: unit component older docker molecule e2e fleets" >&2
    exit 3
done
prepare "${suites[@]}" || exit

# What waits more than it computes works beside the others.
front=() back=()
for suite in "${suites[@]}"; do
    case $suite in older | docker | molecule) back+=("$suite") ;; *) front+=("$suite") ;; esac
done
if ((${#front[@]} == 0)); then
    front=("${back[@]}") back=()
fi
if ((${#back[@]})); then
    set -m # a process group of its own, which an interrupted run can end
    for suite in "${back[@]}"; do
        echo "== $suite"
        timed "$suite"
    done >"$results/back.log" 2>&1 &
    beside=$!
    set +m
fi
for suite in "${front[@]}"; do
    echo "== $suite"
    timed "$suite"
done
if [ -n "$beside" ]; then
    wait "$beside"
    beside=
    cat "$results/back.log"
fi

echo "== summary"
for suite in "${suites[@]}"; do cat "$results/$suite"; done
cat "$DAGFLEET_FAILURES"
! grep -q FAILED "${suites[@]/#/$results/}"

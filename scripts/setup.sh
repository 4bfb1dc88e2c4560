#!/bin/sh
# Prepare the Python environment in .venv: the only thing `make setup` does.
# Safe to run again; it does nothing while the locked requirements are unchanged.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.requirements
wanted=$(cat requirements/dev.txt ./*/pyproject.toml | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Dagfleet needs Python 3.11 or later as \"$python\"; set PYTHON=/path/to/python3.11 and try again." >&2
    exit 1
fi

# Debian ships the venv module without ensurepip; its python3-venv package has the rest.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "\"$python\" cannot make virtual environments; install python3-venv and try again." >&2
        exit 1
    fi
    if ! said=$(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv 2>&1); then
        echo "python3-venv could not be installed: $said" >&2
        exit 1
    fi
fi

uv_version=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements/dev.txt)
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip --quiet --disable-pip-version-check install "uv==$uv_version"
export VIRTUAL_ENV="$PWD/.venv" UV_LINK_MODE=copy
.venv/bin/uv pip sync --quiet --require-hashes requirements/dev.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation \
    --editable provision --editable coordinator --editable launcher
scripts/compile.sh .venv
echo "$wanted" >"$stamp"

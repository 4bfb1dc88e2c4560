#!/bin/sh
# Make the Python environment .build/environments/NAME of what requirements/NAME.txt locks, with the named
# packages of this repository in it; say nothing and do nothing while all of that is unchanged.
# usage: scripts/environment.sh NAME [PACKAGE_FOLDER]...
set -eu
cd "$(dirname "$0")/.."

name=$1
shift
folder=.build/environments/$name
requirements=requirements/$name.txt
stamp=$folder/.requirements
wanted=$({
    cat "$requirements"
    for package in "$@"; do cat "$package/pyproject.toml"; done
} | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

echo "making the environment $folder"
rm -rf "$folder"
mkdir -p .build/environments
.venv/bin/uv venv --quiet --python "$(readlink -f .venv/bin/python)" "$folder"
export VIRTUAL_ENV="$PWD/$folder" UV_LINK_MODE=copy
# Uncompiled, Dagster starts four times slower.
.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes "$requirements"
for package in "$@"; do
    .venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable "$package"
done
echo "$wanted" >"$stamp"

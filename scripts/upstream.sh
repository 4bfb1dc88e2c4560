#!/bin/sh
# Run the tests of Dagster's own queue daemon and coordinator against ours: Dagster ships them in its source archive.
# usage: scripts/upstream.sh [PYTEST_ARGUMENT]...
set -eu
cd "$(dirname "$0")/.."

python=$PWD/.venv/bin/python
version=$("$python" -c 'import dagster; print(dagster.__version__)')
folder=.build/upstream/dagster-$version
if [ ! -d "$folder/dagster_tests" ]; then
    echo "fetching the tests of Dagster $version"
    rm -rf .build/upstream
    mkdir -p "$folder"
    # Only pip fetches a source archive without installing it.
    .venv/bin/uv venv --quiet --seed --python "$(readlink -f "$python")" .build/upstream/pip
    .build/upstream/pip/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
        --no-binary dagster --dest .build/upstream "dagster==$version"
    tar -xzf .build/upstream/dagster-"$version".tar.gz -C .build/upstream "dagster-$version/dagster_tests"
fi
PYTHONPATH=$PWD/$folder exec "$python" -m pytest tests/upstream "$@"

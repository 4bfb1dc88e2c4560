"""Secrets from files on the Docker host: only the run's process sees them, not `docker inspect`, not we."""

from collections.abc import Mapping, Sequence
from typing import Any

from docker.types import Mount
from docker.utils import split_command

_DIRECTORY = "/run/secrets/dagster"
# The format of `docker run --env-file`: KEY=VALUE as it stands, no quotes, # for a comment.
_EXPORT_ALL_AND_EXECUTE = f"""\
for file in {_DIRECTORY}/*; do
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        "" | "#"*) ;;
        *=*) export "$line" ;;
        esac
    done <"$file" || exit
done
exec "$@"
"""


def added(kwargs: Mapping[str, Any], files: Sequence[str], image_entrypoint: Sequence[str]) -> dict[str, Any]:
    """Return arguments of containers.create() that also mount and export these files of the Docker host.

    The entrypoint, the image's own if no other is given, is then run by a line of POSIX shell. A file
    further back overrides one before it.
    """
    if not files:
        return dict(kwargs)
    given = kwargs.get("entrypoint")
    entrypoint = split_command(given) if isinstance(given, str) else list(given or image_entrypoint)
    mounts = [
        Mount(target=f"{_DIRECTORY}/{number:03}", source=path, type="bind", read_only=True)
        for number, path in enumerate(files)
    ]
    return {
        **kwargs,
        "mounts": [*(kwargs.get("mounts") or ()), *mounts],
        "entrypoint": ["/bin/sh", "-c", _EXPORT_ALL_AND_EXECUTE, "with-secrets", *entrypoint],
    }

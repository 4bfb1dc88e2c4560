"""An image of a few hundred kilobytes whose `dagster` is a shell script that does as a variable says."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from docker import APIClient

REPOSITORY = "dagfleet-test-launcher"
_TOOLS = ("sh", "sleep", "cat", "env", "seq")
_SCRIPT = """#!/bin/sh
echo "asked: $1 $2"
case "$BEHAVE" in
  exit) seq 1 60; exit "${CODE:-0}";;
  stubborn) trap '' TERM;;
  *) trap 'echo "told to end"; exit 0' TERM;;
esac
while :; do sleep 0.05; done
"""


def ensure(api: APIClient) -> str:
    """Import the image if the daemon lacks it; return its name."""
    archive = _archive()
    name = f"{REPOSITORY}:{hashlib.sha256(archive).hexdigest()[:12]}"
    if not api.images(name):
        tag = name.partition(":")[2]
        api.import_image_from_data(
            archive, repository=REPOSITORY, tag=tag, changes=["ENV PATH=/usr/bin:/bin"]
        )
    return name


def _archive() -> bytes:
    files = {"usr/bin/dagster": _SCRIPT.encode()}
    for tool in _TOOLS:
        path = Path(shutil.which(tool) or f"/bin/{tool}").resolve()
        files[f"bin/{tool}"] = path.read_bytes()
        for library in _libraries(path):
            files[library.lstrip("/")] = Path(library).read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _libraries(program: Path) -> list[str]:
    output = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    return [word for word in output.split() if word.startswith("/")]

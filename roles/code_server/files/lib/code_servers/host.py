"""Where things are on a host, how files are written there and programs run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

# Tests move it.
ROOT = Path(os.environ.get("CODE_SERVER_ROOT", "/"))
SPECIFICATIONS = ROOT / "etc/dagfleet/code-servers"
SECRETS = ROOT / "etc/dagfleet/locations"
LIBRARY = ROOT / "usr/local/lib/dagfleet"
PROGRAM = LIBRARY / "code-server"

Specification = dict[str, Any]
"""What a location runs, as the role writes it."""


class Failed(Exception):  # noqa: N818
    """Something that the operator has to know; its text is all they see."""


def run(*command: str, timeout: float | None = None) -> str:
    """Return what a command prints on either stream; raise Failed with it, TimeoutExpired in time."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", timeout=timeout, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(done.stdout.strip())
    return done.stdout.strip()


def write(path: Path, text: str, mode: int) -> None:
    """Write a file so that readers, and a crash, find the old one or the new one."""
    temporary = path.with_name(path.name + ".next")
    try:
        _write(temporary, text, mode)
        temporary.replace(path)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)


def secrets_written(location: str) -> str:
    """Return since when a location's secret environment is as it is."""
    try:
        return str((SECRETS / location / "environment").stat().st_mtime_ns)
    except OSError:
        return ""

"""Other programs, which never outlive this one."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO, Any

from dagfleet_backup.errors import BackupError

# A backup that was killed must not leave a pg_dump that goes on writing to nowhere.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


def start(command: Sequence[str], **arguments: Any) -> subprocess.Popen[bytes]:
    """Start a program; its errors are kept for `said`."""
    try:
        return subprocess.Popen([*_WITH_US, *command], stderr=subprocess.PIPE, **arguments)
    except OSError as error:
        raise BackupError(f"{command[0]} cannot be started: {error.strerror}") from None


def run(command: Sequence[str], *, environment: dict[str, str] | None = None) -> None:
    """Run a program to its end; raises BackupError with its last words."""
    process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    try:
        _, errors = process.communicate()
    except BaseException:
        # Before its directory is removed, so that it puts nothing more into it.
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise BackupError(f"{command[0].rpartition('/')[2]} stopped: {said(errors)}")


def said(errors: bytes) -> str:
    """Return the line that says what was wrong."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    # PostgreSQL's programs go on after the error with its context; age ends with where to report bugs.
    telling = [line for line in lines if "error:" in line.lower()]
    return (telling or lines or ["it did not say why"])[0]


def feed(stream: IO[bytes] | None, data: bytes) -> None:
    """Write all of it and close; a program that has ended already says why by itself."""
    if stream is None:
        return
    try:
        stream.write(data)
        stream.close()
    except BrokenPipeError:
        pass

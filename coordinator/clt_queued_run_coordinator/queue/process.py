"""Names this process so that another one can tell whether it is certainly dead."""

import json
import os
import secrets
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def identity() -> str:
    """Return a text that is this process's alone; where /proc is missing, nobody can call it dead."""
    return json.dumps({**_self(), "once": secrets.token_hex(8)}, sort_keys=True)


def holder() -> str:
    """Return the process as people name it."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def certainly_dead(named: str) -> bool:
    """Say whether the process with this identity is gone for good.

    Only one of the same boot and the same process namespace can be looked up; of any other this is False.
    """
    theirs, ours = json.loads(named or "{}"), _self()
    if not ours or any(theirs.get(key) != ours[key] for key in ("boot", "namespace")):
        return False
    return bool(_started(theirs["pid"]) != theirs["started"])


def _self() -> dict[str, str | int]:
    try:
        boot, namespace = _BOOT.read_text().strip(), str(_NAMESPACE.readlink())
    except OSError:
        return {}
    pid = os.getpid()
    started = _started(pid)
    return {} if started is None else {"boot": boot, "namespace": namespace, "pid": pid, "started": started}


def _started(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; field 22 of proc(5)'s stat."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie runs no code any more.
    return None if fields[0] == "Z" else int(fields[19])

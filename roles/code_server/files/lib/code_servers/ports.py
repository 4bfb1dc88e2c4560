"""Who listens on a port of loopback, whether it is a gRPC server, and whether anybody is connected to it."""

from __future__ import annotations

import socket
from pathlib import Path

from code_servers.host import Failed, run

SETTINGS_FRAME = 4


def answers(port: int) -> bool:
    """Tell whether a gRPC server speaks: it sends HTTP/2 settings first; Docker's proxy only connects."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(9)[3:4] == bytes([SETTINGS_FRAME])
    except OSError:
        return False


def connections(port: int) -> int:
    """Return how many connections HAProxy has to a port here."""
    remote, established = f"0100007F:{port:04X}", "01"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    return sum(row[2] == remote and row[3] == established for row in rows)


def require_free(port: int) -> None:
    """Raise Failed when a port is taken: a second gRPC server would share it, and get every other call."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            listeners = "ss", "--no-header", "--listening", "--numeric", "--tcp", "--processes"
            holder = run(*listeners, f"sport = :{port}")
            raise Failed(f"127.0.0.1:{port} is taken by another process; stop it first. {holder}") from None

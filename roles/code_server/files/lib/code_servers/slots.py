"""Which of its two ports a location is served from: a file is the truth, and HAProxy is told of changes."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from code_servers.host import ROOT, Failed, Specification, write

SLOTS = ROOT / "etc/dagfleet/slots.map"
ADMIN_SOCKET = Path(os.environ.get("CODE_SERVER_ADMIN_SOCKET", "/run/haproxy/admin.sock"))
# The map has the slots of all locations.
SWITCHING = threading.Lock()


def other_slot(slot: str) -> str:
    """Return the slot of a server beside one in `slot`."""
    return "green" if slot == "blue" else "blue"


def port_of(specification: Specification, slot: str) -> int:
    """Return a slot's port: green is the one after blue's."""
    return int(specification["port"]) + (slot == "green")


def slots() -> dict[str, str]:
    """Return the slot of each location that was ever exchanged."""
    try:
        lines = SLOTS.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {words[0]: words[1] for words in map(str.split, lines) if words}


def slot_of(name: str) -> str:
    """Return the slot that new connections of a location go to."""
    return slots().get(name, "blue")


def switch_to(name: str, slot: str) -> None:
    """Send a location's new connections to a slot."""
    with SWITCHING:
        write_slots({**slots(), name: slot})
        tell_haproxy(name, slot)


def forget(name: str) -> None:
    """Take a location off the map."""
    with SWITCHING:
        write_slots({other: slot for other, slot in slots().items() if other != name})


def write_slots(wanted: dict[str, str]) -> None:
    """Write which slot serves each location."""
    write(SLOTS, "".join(f"{name} {slot}\n" for name, slot in sorted(wanted.items())), 0o644)


def tell_haproxy(name: str, slot: str) -> None:
    """Let a running HAProxy know what the map says; one that starts later reads the file."""
    if not ADMIN_SOCKET.exists():
        return
    if "entry not found" in haproxy(f"set map {SLOTS} {name} {slot}"):
        haproxy(f"add map {SLOTS} {name} {slot}")


def haproxy(command: str) -> str:
    """Return what HAProxy answers; raise Failed when it does not know the map."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(ADMIN_SOCKET))
            connection.sendall(command.encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode().strip()
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        raise Failed(f"HAProxy does not answer at {ADMIN_SOCKET}: {error}") from error
    if answer and "entry not found" not in answer:
        raise Failed(f"HAProxy cannot switch: {answer}; bring its configuration up to date: dagfleet apply")
    return answer

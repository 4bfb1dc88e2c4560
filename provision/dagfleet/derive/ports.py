"""Which private port a location's code server has."""

import hashlib

from dagfleet.fleet.model import Fleet
from dagfleet.fleet.rules import FIRST_LOCATION_PORT, LAST_LOCATION_PORT

# Two ports a slot: the odd one is for the second code server of a blue/green switch.
_SLOTS = (LAST_LOCATION_PORT + 1 - FIRST_LOCATION_PORT) // 2


def location_port(fleet: Fleet, name: str) -> int:
    """Return the port of location `name`, an even number from 20000 on.

    It follows from the name, so that other locations come and go without moving it. Of two whose names fall
    on one slot, the later in the file takes the next free one.
    """
    return location_ports(fleet)[name]


def slot_ports(fleet: Fleet, name: str) -> tuple[int, int]:
    """Return the ports of a location's slots, blue and green: a new code server starts in the other."""
    blue = location_port(fleet, name)
    return blue, blue + 1


def location_ports(fleet: Fleet) -> dict[str, int]:
    """Return the port of every location."""
    taken: dict[int, str] = {}
    for name in fleet.locations:
        slot = _slot(name)
        while slot in taken:
            slot = (slot + 1) % _SLOTS
        taken[slot] = name
    return {name: FIRST_LOCATION_PORT + 2 * slot for slot, name in taken.items()}


def _slot(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _SLOTS

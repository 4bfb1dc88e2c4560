"""Letting go of servers that serve no more, for as long as their last call and their last run may take.

A process of its own does that: whoever has switched does not have to wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from code_servers.host import PROGRAM, run
from code_servers.location import Location
from code_servers.lock import alone
from code_servers.server import Server

SETTLE_SECONDS = 20.0
POLL_SECONDS = 0.5


def beside(names: Iterable[str]) -> dict[str, list[Server]]:
    """Return who stands beside the servers of these locations, but for those that end already."""
    found = {name: Location(name).others() for name in names}
    return {
        name: [each for each in others if not (each.ending and each.running)]
        for name, others in found.items()
    }


def in_the_background(others: Mapping[str, Iterable[Server]], *, linger: bool = False) -> None:
    """Have systemd retire these servers, by location. One that lingers can be called back till then."""
    for name, servers in others.items():
        if ids := [each.id for each in servers]:
            seconds = Location(name).wanted()["linger_seconds"] if linger else 0
            later = (f"--on-active={seconds}",) if seconds else ()
            options = "--quiet", "--collect", f"--description=Retire code servers of {name}", *later
            run("systemd-run", *options, str(PROGRAM), "retire", name, *ids)


def settle(others: Mapping[str, Iterable[Server]]) -> None:
    """Wait a little for those who have nothing left to do: an apply should find its host as it will stay."""
    deadline = time.monotonic() + SETTLE_SECONDS
    going = {(name, each.id) for name, servers in others.items() for each in servers}
    while going and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        going = {(name, id_) for name, id_ in going if id_ in {each.id for each in Location(name).others()}}


def retire(name: str, ids: Iterable[str]) -> None:
    """Let go of the servers of a location that have these ids; those that serve again by then stay."""
    location, wanted = Location(name), set(ids)
    for server in [each for each in location.others() if each.id in wanted]:
        _retire(location, server)


def _retire(location: Location, server: Server) -> None:
    if server.served and server.running and not server.ending:
        location.quiet(server)
        with alone():
            if not _beside(location, server):
                return
            location.end(server)
    if server.served and server.running:
        location.ended(server, location.kind.patience)
    with alone():
        if _beside(location, server):
            location.kind.remove(server)


def _beside(location: Location, server: Server) -> bool:
    return server.id in {each.id for each in location.others()}

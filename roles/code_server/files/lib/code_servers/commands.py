"""The commands of `code-server`. Each returns what it prints as JSON."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from code_servers import calls
from code_servers.containers import fetch as fetch_image
from code_servers.host import Failed, Specification, write
from code_servers.installing import install as install_release
from code_servers.location import Location
from code_servers.lock import alone
from code_servers.ports import require_free
from code_servers.retiring import beside, in_the_background, settle
from code_servers.retiring import retire as retire_servers
from code_servers.server import Server


def converge(*names: str) -> dict[str, list[str]]:
    """Exchange what has to be; servers start at the same time, and none holds up another."""
    work: dict[Location, tuple[Server | None, Specification, list[str]]] = {}
    failures = []

    def exchange(location: Location) -> None:
        serving, specification, _ = work[location]
        try:
            location.serve_from(location.beside(serving, specification))
            location.remember(serving)
        except Failed as failed:
            failures.append(str(failed))

    with alone():
        for location in map(Location, names):
            specification, serving = location.wanted(), location.settled()
            if differences := location.differences(serving, specification):
                work[location] = serving, specification, differences
        with ThreadPoolExecutor(max(1, len(work))) as pool:
            list(pool.map(exchange, work))
        for location in map(Location, names):
            location.before.unlink(missing_ok=True)
        others = beside(names)
    in_the_background(others)
    settle(others)
    if failures:
        raise Failed("\n".join(failures))
    return {location.name: differences for location, (_, _, differences) in work.items()}


def check(*names: str) -> dict[str, list[str]]:
    """Return what `converge` would exchange, by location. It changes nothing, so it needs no lock."""
    due = {}
    for location in map(Location, names):
        if differences := location.differences(location.serving(), location.wanted()):
            due[location.name] = differences
    return due


def fetch(image: str, seconds: str) -> dict[str, str]:
    """Have an image here. A pull may hang, and changes nothing that others look at."""
    return {"image": fetch_image(image, int(seconds))}


def install(name: str, release: str, source: str = "") -> dict[str, str]:
    """Install a release from the wheels in its folder, or from an archive on standard input (`-`)."""
    with alone():
        install_release(name, release, sys.stdin.buffer if source == "-" else None)
    return {"release": release}


def installed(name: str, release: str) -> dict[str, bool]:
    """Tell whether a release is here."""
    from code_servers.units import Units

    return {"installed": bool(Units().version(name, release))}


def start(name: str, reference: str, version: str = "") -> dict[str, Any]:
    """Have another version answer beside the server that serves, for `switch`; tell what that will change.

    With `version`, an image's id, the reference has to stand for that.
    """
    location = Location(name)
    with alone():
        specification, serving = location.with_version(reference), location.settled()
        if version:
            location.kind.require(name, specification)
            location.kind.hold(name, reference, version)
        if differences := location.differences(serving, specification):
            location.beside(serving, specification)
    return {"changed": differences}


def switch(name: str, reference: str) -> dict[str, Any]:
    """Serve another version and keep the old server waiting."""
    location = Location(name)
    with alone():
        kind, specification, serving = location.kind, location.with_version(reference), location.settled()
        differences = location.differences(serving, specification)
        server = serving
        if differences or not server:
            server = location.beside(serving, specification)
            if serving:
                write(location.before, serving.id, 0o600)
            location.serve_from(server)
        location.want(specification)
        location.remember(serving)
        before = serving.version if serving else ""
        return {
            "changed": differences,
            "version": kind.version(name, reference),
            "before": before,
            "server": location.server_id(server),
        }


def introduce(name: str, *hosts: str) -> dict[str, list[str] | str]:
    """Ask the servers that wait on other hosts for health and repositories, as the mesh's gateway, from here.

    A host is written as HOST=ADDRESS:PORT. The answer for each is its repositories, or what is wrong.
    """

    def ask(host: str) -> list[str] | str:
        name_there, address = host.split("=", 1)
        try:
            with calls.beside(name, name_there, address) as server:
                return calls.repositories(server)
        except Failed as failed:
            return str(failed)

    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return {host.split("=")[0]: answer for host, answer in zip(hosts, pool.map(ask, hosts))}  # noqa: B905


def finish(*names: str) -> dict[str, str]:
    """Let go of servers that wait, after the time in which they could be called back."""
    with alone():
        for location in map(Location, names):
            location.settled()
            location.before.unlink(missing_ok=True)
        others = beside(names)
    in_the_background(others, linger=True)
    return {}


def back(*names: str) -> dict[str, str]:
    """Serve from the servers that wait; without one, leave everything as it is."""
    done = {}
    with alone():
        for location in map(Location, names):
            waiting, leaving = location.waiting(), location.serving()
            if waiting:
                location.serve_from(waiting)
                location.want({**location.wanted(), **json.loads(waiting.label or "{}")})
                done[location.name] = location.last_lines(leaving, "is out again") if leaving else ""
            for other in location.others():
                if not other.served:
                    done[location.name] = location.last_lines(other, "was not taken")
            location.settled()
            location.before.unlink(missing_ok=True)
        others = beside(names)
    in_the_background(others)
    return done


def retire(name: str, *ids: str) -> dict[str, str]:
    """Let go of servers, however long their runs take."""
    retire_servers(name, ids)
    return {}


def remove(*names: str) -> dict[str, str]:
    """Serve locations no more."""
    with alone():
        for location in map(Location, names):
            location.remove()
    return {}


def free(port: str) -> dict[str, str]:
    """Fail when something listens on a port already, and name it."""
    require_free(int(port))
    return {}


COMMANDS = {
    each.__name__: each
    for each in (
        converge,
        check,
        fetch,
        install,
        installed,
        start,
        introduce,
        switch,
        finish,
        back,
        retire,
        remove,
        free,
    )
}

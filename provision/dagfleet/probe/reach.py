"""Tries ways from hosts to each other: does a packet come back, whoever listens there?"""

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from dagfleet.derive.ways import Way
from dagfleet.probe.findings.finding import Finding, Level
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

ANSWER_SECONDS = 3
# bash opens TCP connections by itself, so nothing has to be installed. All ways of a host at once.
_TRY = """\
(
    if ! getent ahosts {address} >/dev/null; then
        word=unknown
    elif said=$(LC_ALL=C timeout {seconds} bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>&1); then
        word=open
    else
        case $said in *refused*) word=refused ;; *) word=silent ;; esac
    fi
    echo {number} "$word"
) &
"""


class State(StrEnum):
    """What became of an attempt; `refused` says that packets pass and nobody listens yet."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "silent"
    UNKNOWN = "unknown"


def reach(connection: "Connection", ways: Sequence[Way]) -> dict[Way, State]:
    """Try the ways, which begin at this host; raise UnreachableError when the session breaks."""
    if not ways:
        return {}
    lines = (line.split() for line in connection.run(script(ways)).stdout.splitlines())
    return {ways[int(number)]: State(word) for number, word in lines}


def script(ways: Sequence[Way]) -> str:
    """Return the script that tries the ways and prints a line `number word` for each."""
    tries = [
        _TRY.format(address=shlex.quote(way.address), port=way.port, seconds=ANSWER_SECONDS, number=number)
        for number, way in enumerate(ways)
    ]
    return "".join([*tries, "wait\n"])


def unreached(found: Mapping[Way, State], reports: Mapping[str, HostReport]) -> list[Finding]:
    """Return what stands in the way. Our own firewall is none of it: it lets a newcomer in with its apply."""
    findings = []
    for way, state in found.items():
        if state is State.UNKNOWN:
            fact = f"{way.host} does not find the name {way.address}"
            findings.append(Finding(way.host, Level.FIX, fact, f"mend the name service on {way.host}"))
        elif state is State.SILENT and not _ours_to_open(way, reports):
            findings.append(
                Finding(
                    way.host,
                    Level.FIX,
                    f"no answer comes from {way.title} to {way.host}: packets are lost on the way",
                    f"let TCP port {way.port} pass from {way.host} in the network between them",
                )
            )
    return findings


def _ours_to_open(way: Way, reports: Mapping[str, HostReport]) -> bool:
    """Tell whether the next apply may be what opens the way: one end is set up, the other still new."""
    if way.to is None:
        return False
    ends = [reports[name].record is not None for name in (way.host, way.to) if name in reports]
    return len(ends) < 2 or (ends[1] and not ends[0])

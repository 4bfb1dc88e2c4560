"""What `check` found, as a table and as JSON."""

import json
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagfleet.cli.terminal import WIDTH, Terminal
from dagfleet.derive.ways import Way, ways
from dagfleet.errors import EXIT_FAILED, EXIT_OK, EXIT_UNREACHABLE, UnreachableError
from dagfleet.pki import inspect
from dagfleet.probe.connection import Connection
from dagfleet.probe.findings import Finding, Level, examine
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.reach import State, reach, unreached
from dagfleet.probe.report import HostReport, Privilege
from dagfleet.probe.survey import survey
from dagfleet.probe.target import Target
from dagfleet.probe.units import count, duration, size

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet

COLOURS = {"ok": "green", "warn": "yellow", "fix": "red"}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The hosts' reports, what there is to say about them, and who did not answer."""

    hosts: tuple[str, ...]
    reports: dict[str, HostReport]
    unreachable: dict[str, UnreachableError]
    findings: dict[str, list[Finding]]
    seconds: float
    ways: dict[Way, State] = field(default_factory=dict)
    """Ways between hosts that were tried, and what came of it."""

    def level(self, host: str) -> Level:
        """Return the gravest finding's level; a host that does not answer is to be fixed."""
        if host in self.unreachable:
            return Level.FIX
        return max((finding.level for finding in self.findings[host]), default=Level.OK)

    def total(self, level: Level) -> int:
        """Return how many findings have the level."""
        silent = len(self.unreachable) if level is Level.FIX else 0
        return silent + sum(finding.level is level for part in self.findings.values() for finding in part)

    @property
    def exit_code(self) -> int:
        """Return 5 when a host cannot be used at all, 1 when something is to fix, else 0."""
        locked_out = {Privilege.PASSWORD, Privilege.NONE}
        if self.unreachable or any(report.privilege in locked_out for report in self.reports.values()):
            return EXIT_UNREACHABLE
        return EXIT_FAILED if self.total(Level.FIX) else EXIT_OK


def checked(fleet: "Fleet", targets: Sequence[Target]) -> Checked:
    """Survey the hosts and examine what they say."""
    started = time.monotonic()
    wanted: dict[str, list[Way]] = {name: [] for name in fleet.hosts}
    for way in ways(fleet):
        wanted[way.host].append(way)
    tried: dict[Way, State] = {}

    def attempt(connection: Connection) -> None:
        tried.update(reach(connection, wanted[connection.target.name]))

    # Logging in is most of what a host costs the operator: once for both questions.
    found = survey(targets, also=attempt)
    findings = examine(fleet, found.reports)
    for finding in unreached(tried, found.reports):
        if finding.host in findings:
            findings[finding.host].insert(0, finding)
    return Checked(
        hosts=tuple(target.name for target in targets),
        reports=found.reports,
        unreachable=found.unreachable,
        findings=findings,
        seconds=time.monotonic() - started,
        ways={way: tried[way] for mine in wanted.values() for way in mine if way in tried},
    )


def print_table(fleet: "Fleet", path: str, result: Checked, terminal: Terminal) -> None:
    """Print a line per host, its findings and their mends below, the certificates and the totals."""
    head = f"{fleet.name} · {count(len(fleet.hosts), 'host')} · {count(len(fleet.locations), 'location')}"
    terminal.say(f"{terminal.paint(head, bold=True)}{path:>{max(WIDTH - len(head), len(path) + 2)}}")
    name_width = max([*map(len, result.hosts), 5])
    address_width = max(len(fleet.hosts[name].address) for name in result.hosts)
    indent = " " * (2 + name_width + 2 + address_width + 2 + 9 + 8)
    for name in result.hosts:
        level = str(result.level(name))
        colour = terminal.paint(f"{level:<8}", fg=COLOURS[level])
        host = f"  {name:<{name_width}}  {fleet.hosts[name].address:<{address_width}}  {role(fleet, name):<9}"
        first, *others = _facts(name, result)
        terminal.say(f"{host}{colour}{first}")
        for other in others:
            terminal.say(f"{indent}{other}")
    for line in _reached(result):
        terminal.say(f"  {'reach':<{name_width}}  {line}")
    if certificates := _certificates(result):
        terminal.say(f"  {'certs':<{name_width}}  {certificates}")
    terminal.say(f"{totals(result)} · {duration(result.seconds)}")


def print_json(fleet: "Fleet", result: Checked, terminal: Terminal) -> None:
    """Print the same facts as JSON."""
    terminal.say(json.dumps({
        "fleet": fleet.name,
        "seconds": round(result.seconds, 2),
        "fix": result.total(Level.FIX),
        "warn": result.total(Level.WARN),
        "hosts": {name: _as_json(fleet, name, result) for name in result.hosts},
        "reach": [{"from": way.host, "to": way.title, "state": str(result.ways[way])} for way in result.ways],
    }, indent=2))  # fmt: skip


def role(fleet: "Fleet", name: str) -> str:
    """Return the one word that says what a host is for."""
    if name == fleet.control.host:
        return "control"
    if name == fleet.control.standby:
        return "standby"
    return "docker" if fleet.hosts[name].runs_docker else "process"


def totals(result: Checked) -> str:
    """Return `1 to fix, 2 warnings`, or `nothing to fix`."""
    fixes, warnings = result.total(Level.FIX), result.total(Level.WARN)
    parts = [f"{fixes} to fix" if fixes else "nothing to fix", count(warnings, "warning") if warnings else ""]
    return ", ".join(part for part in parts if part)


def _facts(name: str, result: Checked) -> list[str]:
    if error := result.unreachable.get(name):
        return [error.message, *([error.fix] if error.fix else [])]
    lines: list[str] = []
    findings = result.findings[name]
    if not any(finding.level >= Level.WARN for finding in findings):
        lines.append(_described(result.reports[name]))
    for finding in findings:
        lines.append(finding.fact)
        if finding.mend:
            lines.append(finding.mend)
    return lines


def _described(report: HostReport) -> str:
    system = report.pretty_name.split("(")[0].replace("GNU/Linux ", "").strip()
    parts = [system, count(report.cores, "core"), size(report.memory), f"clock {report.clock_offset:+.2f} s"]
    if report.engine:
        parts.insert(1, f"Docker {report.engine.version.partition('+')[0]}")
    return " · ".join(parts)


def _reached(result: Checked) -> list[str]:
    """Return the ways that work, those of hosts with the same ones in one line."""
    by_ends: dict[tuple[str, ...], list[str]] = {}
    for host in result.hosts:
        working = (State.OPEN, State.REFUSED)
        ends = tuple(way.title for way, state in result.ways.items() if way.host == host and state in working)
        if ends:
            by_ends.setdefault(ends, []).append(host)
    lines = [f"{', '.join(hosts)} -> {', '.join(ends)} ok" for ends, hosts in by_ends.items()]
    return [part for line in lines for part in textwrap.wrap(line, WIDTH - 12, subsequent_indent="  ")]


def _certificates(result: Checked) -> str | None:
    ends = [
        inspect(pem.encode()).not_after
        for report in result.reports.values()
        for pem in leaves(report).values()
    ]
    if not ends:
        return None
    left = (min(ends) - datetime.now(UTC)).days
    return f"{count(len(ends), 'leaf', 'leaves')}, first expires in {count(left, 'day')}"


def _as_json(fleet: "Fleet", name: str, result: Checked) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "address": fleet.hosts[name].address,
        "role": role(fleet, name),
        "status": str(result.level(name)),
    }
    if error := result.unreachable.get(name):
        return {**facts, "reachable": False, "findings": [_finding("fix", error.message, error.fix)]}
    report = result.reports[name]
    return {
        **facts,
        "reachable": True,
        "findings": [
            _finding(found.level.name.lower(), found.fact, found.mend) for found in result.findings[name]
        ],
        "distribution": report.distribution,
        "version": report.version,
        "architecture": report.architecture,
        "cores": report.cores,
        "memory_bytes": report.memory,
        "clock_offset_seconds": round(report.clock_offset, 3),
        "docker": report.engine.version if report.engine else None,
        "disk_free_bytes": report.disk.free if report.disk else None,
        "set_up": report.record is not None,
        "certificates": {
            leaf: inspect(pem.encode()).not_after.isoformat() for leaf, pem in leaves(report).items()
        },
    }  # fmt: skip


def _finding(level: str, fact: str, mend: str | None) -> dict[str, str | None]:
    return {"level": level, "fact": fact, "mend": mend}

"""Is each host itself, at its address, and nobody else's copy?"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import median
from typing import TYPE_CHECKING

from dagfleet.probe.findings.finding import Finding, Level, Subject
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet.model import Fleet

SKEW_WARN = 2.0
# Certificates forgive an hour; Dagster's own time stamps and schedules do not forgive a minute.
SKEW_FIX = 60.0


def address(subject: Subject) -> Iterable[Finding]:
    """The others use the address in fleet.yml, and certificates carry it."""
    wanted = subject.fleet.hosts[subject.name].address
    mine = [
        address for address in subject.report.addresses if not address.startswith(("127.", "::1", "fe80:"))
    ]
    if mine and wanted not in mine:
        yield subject.warn(
            f"{wanted} is none of its own addresses ({', '.join(mine[:3])})",
            f"if that is not a translated address, correct hosts.{subject.name}.address",
        )


def clocks(fleet: "Fleet", reports: dict[str, HostReport]) -> Iterable[Finding]:
    """A clock that is off breaks certificates, logs and schedules; the others' median is the truth."""
    del fleet
    if not reports:
        return
    middle = median(report.clock_offset for report in reports.values())
    for name, report in reports.items():
        skew = report.clock_offset - middle
        # Two hosts that disagree have no majority: then this machine's clock decides.
        if len(reports) < 3:
            skew = report.clock_offset
        if abs(skew) >= SKEW_WARN:
            level = Level.FIX if abs(skew) >= SKEW_FIX else Level.WARN
            direction = "ahead" if skew > 0 else "behind"
            yield Finding(
                name,
                level,
                f"the clock is {abs(skew):.0f} s {direction}",
                "synchronise it: timedatectl set-ntp true",
            )


def copies(fleet: "Fleet", reports: dict[str, HostReport]) -> Iterable[Finding]:
    """Cloned machines share what should be their own."""
    del fleet
    yield from _shared(
        reports,
        lambda report: report.machine_id,
        "machine-id",
        "give the copy its own: rm /etc/machine-id && systemd-machine-id-setup",
    )
    yield from _shared(
        reports, lambda report: report.hostname, "host name", "give it its own: hostnamectl set-hostname NAME"
    )


def _shared(
    reports: dict[str, HostReport], key: Callable[[HostReport], str], what: str, mend: str
) -> Iterable[Finding]:
    owners: dict[str, list[str]] = defaultdict(list)
    for name, report in reports.items():
        if value := key(report):
            owners[value].append(name)
    for value, (first, *others) in owners.items():
        for name in others:
            yield Finding(name, Level.WARN, f"has the same {what} as {first} ({value})", mend)

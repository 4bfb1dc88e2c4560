"""What an apply would do, asked with every role in check mode; nothing is changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from dagfleet.derive.groups import groups
from dagfleet.phases.due import Due, due_certificates
from dagfleet.probe.report import HostReport
from dagfleet.probe.units import count
from dagfleet.runner.outcome import Change, HostOutcome, Outcome
from dagfleet.runner.reason import Failure

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet


@dataclass(frozen=True)
class HostPlan:
    """What would happen on one host."""

    host: str
    new: bool
    parts: tuple[str, ...] = ()
    """For a new host: what will be set up there."""
    certificates: tuple[Due, ...] = ()
    images: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    unknown: Failure | None = None
    """Why it cannot be told."""

    @property
    def changes_something(self) -> bool:
        """Tell whether an apply would touch the host."""
        return bool(self.new or self.certificates or self.images or self.changes or self.unknown)

    def lines(self) -> list[str]:
        """Return what people read, one change a line."""
        if self.new:
            certificates = count(len(self.certificates), "certificate")
            return [f"+ host: {', '.join(self.parts)} · {certificates}"]
        lines = [f"~ certificate {due.spec.name}: {due.reason}" for due in self.certificates]
        lines += [f"~ image {image}: to be sent" for image in self.images]
        lines += [f"~ {change.task}" for change in self.changes]
        if self.unknown:
            lines.append(f"? {self.unknown.task}: {self.unknown.sentence}")
        return lines


@dataclass(frozen=True)
class Plan:
    """What would happen, host by host."""

    hosts: tuple[HostPlan, ...] = field(default_factory=tuple)

    @property
    def pending(self) -> bool:
        """Tell whether anything would change."""
        return any(host.changes_something for host in self.hosts)

    def summary(self) -> str:
        """Return `2 hosts change, 1 is added, 1 stays as it is`."""
        added = sum(host.new for host in self.hosts)
        changed = sum(host.changes_something and not host.new for host in self.hosts)
        same = len(self.hosts) - added - changed
        if not self.pending:
            return "Nothing would change"
        parts = [
            f"{count(changed, 'host')} {'changes' if changed == 1 else 'change'}" if changed else "",
            f"{added if changed else count(added, 'host')} {'is' if added == 1 else 'are'} added"
            if added
            else "",
            f"{same} {'stays as it is' if same == 1 else 'stay as they are'}" if same else "",
        ]
        return ", ".join(part for part in parts if part)


def is_new(report: HostReport) -> bool:
    """Tell whether no apply has finished on the host yet."""
    return report.record is None


def plan(
    fleet: "Fleet",
    reports: Mapping[str, HostReport],
    outcome: Outcome,
    *,
    authority_keys: Mapping[str, Collection[bytes]],
    images: Mapping[str, Sequence[str]],
    revoked: Mapping[str, Collection[int]] = MappingProxyType({}),
    now: datetime | None = None,
) -> Plan:
    """Return the plan: what is due, what the roles would change on hosts set up, which images they lack."""
    due = due_certificates(
        fleet, reports, authority_keys=authority_keys, revoked=revoked, now=now or datetime.now(UTC)
    )
    return Plan(
        tuple(
            HostPlan(host, True, tuple(parts(fleet, host)), tuple(due.get(host, ())))
            if is_new(report)
            else _known(host, due.get(host, []), images.get(host, ()), outcome.hosts.get(host, HostOutcome()))
            for host, report in reports.items()
        )
    )


def parts(fleet: "Fleet", host: str) -> list[str]:
    """Return what belongs on a host: docker, mesh, the control plane, its locations."""
    return [
        *(["docker"] if fleet.hosts[host].runs_docker else []),
        "mesh",
        *(["control plane"] if host in groups(fleet)["control"] else []),
        *fleet.locations_on(host),
    ]


def _known(host: str, due: Sequence[Due], images: Sequence[str], outcome: HostOutcome) -> HostPlan:
    # The record changes whenever anything else does; alone it says that only the description changed.
    changes = [change for change in outcome.changes if not change.task.startswith("base: Record")]
    return HostPlan(
        host=host,
        new=False,
        certificates=tuple(due),
        images=tuple(images),
        changes=tuple(changes or outcome.changes),
        unknown=outcome.failure,
    )

"""Which certificates are to be issued, from what hosts have and what fleet.yml wants; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.pki import inspect, needs_renewal
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet


@dataclass(frozen=True)
class Due:
    """A certificate to issue, and why."""

    spec: CertificateSpec
    reason: str


def due_certificates(
    fleet: "Fleet", reports: Mapping[str, HostReport], *, authority_keys: Mapping[str, bytes], now: datetime
) -> dict[str, list[Due]]:
    """Return what is due per host; hosts with nothing due are left out.

    `authority_keys` maps an authority to its key identifier; without one, all of its leaves are due.
    """
    due: dict[str, list[Due]] = {}
    for name, report in reports.items():
        present = leaves(report)
        for spec in specs(fleet, name):
            reason = _reason(present.get(spec.name), spec, authority_keys.get(spec.authority), now)
            if reason:
                due.setdefault(name, []).append(Due(spec, reason))
    return due


def specs(fleet: "Fleet", host: str) -> Iterable[CertificateSpec]:
    """Return the leaves that belong on a host."""
    return (spec for spec in certificates(fleet) if spec.host == host)


def _reason(pem: str | None, spec: CertificateSpec, authority_key: bytes | None, now: datetime) -> str | None:
    if pem is None:
        return "the host has none"
    if authority_key is None:
        return f"there is no {spec.authority} authority yet"
    return needs_renewal(inspect(pem.encode()), spec, now, authority_key_identifier=authority_key)

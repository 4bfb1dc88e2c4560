"""Which certificates are to be issued, from what hosts have and what fleet.yml wants; pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.pki import CertificateFacts, inspect, needs_renewal
from dagfleet.pki.facts import REVOKED
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet

Objection = Callable[[CertificateSpec, CertificateFacts], str | None]
"""Says why a certificate that still serves is to be issued again, or None."""
_NONE_REVOKED: Mapping[str, Collection[int]] = MappingProxyType({})


@dataclass(frozen=True)
class Due:
    """A certificate to issue, and why. `key` is the fingerprint of the key that the host has for it."""

    spec: CertificateSpec
    reason: str
    key: str | None = None

    @property
    def needs_new_key(self) -> bool:
        """Tell whether the key goes, too: somebody else may have it."""
        return self.reason == REVOKED


def due_certificates(
    fleet: "Fleet",
    reports: Mapping[str, HostReport],
    *,
    authority_keys: Mapping[str, Collection[bytes]],
    revoked: Mapping[str, Collection[int]] = _NONE_REVOKED,
    also: Objection = lambda _spec, _facts: None,
    now: datetime,
) -> dict[str, list[Due]]:
    """Return what is due per host; hosts with nothing due are left out.

    `authority_keys` maps an authority to the identifiers of its trusted keys; without any, all of its leaves
    are due. `revoked` maps it to the serials that it has revoked. `also` may find further reasons.
    """
    due: dict[str, list[Due]] = {}
    for name, report in reports.items():
        present = leaves(report)
        for spec in specs(fleet, name):
            facts = inspect(present[spec.name].encode()) if spec.name in present else None
            reason = _reason(facts, spec, authority_keys, revoked, now) or (facts and also(spec, facts))
            if reason:
                due.setdefault(name, []).append(Due(spec, reason, facts.key_fingerprint if facts else None))
    return due


def specs(fleet: "Fleet", host: str) -> Iterable[CertificateSpec]:
    """Return the leaves that belong on a host."""
    return (spec for spec in certificates(fleet) if spec.host == host)


def _reason(
    facts: CertificateFacts | None,
    spec: CertificateSpec,
    authority_keys: Mapping[str, Collection[bytes]],
    revoked: Mapping[str, Collection[int]],
    now: datetime,
) -> str | None:
    if facts is None:
        return "the host has none"
    keys = authority_keys.get(spec.authority)
    if keys is None:
        return f"there is no {spec.authority} authority yet"
    return needs_renewal(
        facts, spec, now, authority_keys=keys, revoked=revoked.get(spec.authority, frozenset())
    )

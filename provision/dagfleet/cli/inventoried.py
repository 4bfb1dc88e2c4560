"""Every certificate of a fleet: what it says, and where hosts really have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.errors import UnreachableError
from dagfleet.pki import Authorities, CertificateFacts, inspect, operator_files
from dagfleet.pki.authorities import NAMES
from dagfleet.pki.errors import MissingStoreError
from dagfleet.pki.rotation import Rotation
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.report import HostReport
from dagfleet.probe.survey import survey
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet, FleetFile


@dataclass(frozen=True, kw_only=True)
class Held:
    """A certificate that the fleet needs. `facts` is None where nobody has one; `where` says who shows it."""

    spec: CertificateSpec
    facts: CertificateFacts | None
    where: str
    deployed: bool
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """A generation of an authority that the fleet trusts."""

    name: str
    authority: str
    until: datetime
    signs: bool


@dataclass(frozen=True, kw_only=True)
class Inventoried:
    """All of it, at one moment."""

    fleet: "Fleet"
    held: tuple[Held, ...]
    trusted: tuple[Trusted, ...]
    rotations: tuple[Rotation, ...]
    unreachable: Mapping[str, UnreachableError]
    now: datetime


def inventoried(fleet_file: "FleetFile") -> Inventoried:
    """Ask every host; what one has that does not answer is taken from this machine's copies."""
    found = survey([target(fleet_file, name) for name in fleet_file.fleet.hosts])
    try:
        authorities: Authorities | None = Authorities.load(fleet_file.state / "pki")
    except MissingStoreError:
        authorities = None
    trusted, rotations = _authorities(authorities)
    return Inventoried(
        fleet=fleet_file.fleet,
        held=(
            *(_held(fleet_file, spec, found.reports, authorities) for spec in certificates(fleet_file.fleet)),
        ),
        trusted=trusted,
        rotations=rotations,
        unreachable=found.unreachable,
        now=datetime.now(UTC),
    )


def place(fleet: "Fleet", spec: CertificateSpec) -> str:
    """Return who shows the certificate: `beta:2376`, or what on the host connects with it."""
    if spec.host is None:
        return "this machine"
    host = fleet.hosts[spec.host]
    return {
        "docker-server": f"{spec.host}:{host.docker_port}",
        "mesh-server": f"{spec.host}:{host.mesh.port}",
        "web": f"{spec.host}:{fleet.control.web.port}",
        "launcher": "daemon",
        "gateway": "to code servers",
        "mesh-client": "to the database",
    }.get(spec.name, spec.host)


def _held(
    fleet_file: "FleetFile",
    spec: CertificateSpec,
    reports: Mapping[str, HostReport],
    authorities: Authorities | None,
) -> Held:
    where = place(fleet_file.fleet, spec)
    pki = fleet_file.state / "pki"
    if spec.host and spec.host in reports:
        pem = leaves(reports[spec.host]).get(spec.name, "").encode()
        where, deployed = where if pem else "missing", bool(pem)
    elif spec.host:
        copy = pki / "leaves" / spec.host / f"{spec.name}.crt"
        pem, where, deployed = copy.read_bytes() if copy.is_file() else b"", "no answer", False
    else:
        copy = operator_files(pki, spec).certificate
        pem = copy.read_bytes() if copy.is_file() else b""
        where, deployed = where if pem else "missing", bool(pem)
    facts = inspect(pem) if pem else None
    revoked = bool(facts and authorities and facts.serial in authorities.revoked(spec.authority))
    return Held(spec=spec, facts=facts, where=where, deployed=deployed, revoked=revoked)


def _authorities(authorities: Authorities | None) -> tuple[tuple[Trusted, ...], tuple[Rotation, ...]]:
    if authorities is None:
        return (), ()
    trusted = tuple(
        Trusted(
            name=str(each.name),
            authority=name,
            until=each.certificate.not_valid_after_utc,
            signs=each.key_identifier == authorities.signer(name).key_identifier,
        )
        for name in NAMES
        for each in authorities.trusted(name)
    )
    rotations = (authorities.rotation(name) for name in NAMES)
    return trusted, tuple(rotation for rotation in rotations if rotation)

"""What a certificate says, and whether it still says what the fleet needs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from dagfleet.pki.errors import UnreadableFileError
from dagfleet.pki.keys import key_fingerprint
from dagfleet.pki.names import AuthorityName, common_name

if TYPE_CHECKING:
    from dagfleet.derive.certificates import CertificateSpec

Usage = Literal["server", "client"]
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_USAGES: dict[x509.ObjectIdentifier, Usage] = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client",
}
RENEW_AT = 1 / 3  # of the lifetime left
REVOKED = "it was revoked"


@dataclass(frozen=True, kw_only=True)
class CertificateFacts:
    """The parts of a certificate that people and plans ask about. Digests are SHA-256 in hexadecimal."""

    common_name: str
    issuer: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    usages: tuple[Usage, ...]
    not_before: datetime
    not_after: datetime
    serial: int
    fingerprint: str
    key_fingerprint: str
    issuer_key_identifier: bytes | None

    @property
    def authority(self) -> AuthorityName | None:
        """Which of our authorities its issuer's name says; None for a stranger's certificate."""
        return AuthorityName.parse(self.issuer)


def inspect(cert_pem: bytes) -> CertificateFacts:
    """Return what the first certificate in `cert_pem` says; raises `UnreadableFileError` if there is none."""
    try:
        certificate = x509.load_pem_x509_certificate(cert_pem)
    except ValueError as error:
        raise UnreadableFileError(
            f"this is not a certificate ({error})", fix="have it issued again"
        ) from error
    names = _extension(certificate, x509.SubjectAlternativeName)
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    issuer_key = _extension(certificate, x509.AuthorityKeyIdentifier)
    return CertificateFacts(
        common_name=common_name(certificate.subject),
        issuer=common_name(certificate.issuer),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        ip_addresses=tuple(map(str, names.get_values_for_type(x509.IPAddress))) if names else (),
        usages=tuple(_USAGES[usage] for usage in usages or () if usage in _USAGES),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=certificate.serial_number,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        key_fingerprint=key_fingerprint(certificate.public_key()),
        issuer_key_identifier=issuer_key.key_identifier if issuer_key else None,
    )


def unusable(
    facts: CertificateFacts,
    spec: "CertificateSpec",
    now: datetime,
    *,
    authority_keys: Collection[bytes] | None = None,
    revoked: Collection[int] = (),
    key_fingerprint: str | None = None,
) -> str | None:
    """Return why the certificate does not serve as `spec` at this moment, as a clause for people, or None.

    `authority_keys` (`Authorities.key_identifiers`) also finds leaves of an authority that was replaced,
    `revoked` (serials, `Authorities.revoked`) those that were revoked, and `key_fingerprint`
    (`request_key_fingerprint`) leaves of a key that the host no longer has.
    """
    if reason := _distrusted(facts, spec, authority_keys, revoked):
        return reason
    if key_fingerprint not in (None, facts.key_fingerprint):
        return "its owner has another key now"
    if facts.common_name != spec.common_name:
        return f"it names {facts.common_name}, not {spec.common_name}"
    if facts.usages != (spec.usage,):
        return f"it is not for use as a {spec.usage}"
    return _changed_names(facts, spec) or _outside_validity(facts, now)


def needs_renewal(
    facts: CertificateFacts,
    spec: "CertificateSpec",
    now: datetime,
    *,
    authority_keys: Collection[bytes] | None = None,
    revoked: Collection[int] = (),
    key_fingerprint: str | None = None,
) -> str | None:
    """Return why to issue the certificate again: it is `unusable`, or a third of its lifetime is left."""
    reason = unusable(
        facts,
        spec,
        now,
        authority_keys=authority_keys,
        revoked=revoked,
        key_fingerprint=key_fingerprint,
    )
    if reason:
        return reason
    left = facts.not_after - now
    if left <= RENEW_AT * (facts.not_after - facts.not_before):
        return f"it has {left.days} days left"
    return None


def _distrusted(
    facts: CertificateFacts,
    spec: "CertificateSpec",
    authority_keys: Collection[bytes] | None,
    revoked: Collection[int],
) -> str | None:
    if facts.authority is None or facts.authority.authority != spec.authority:
        return f"it was signed by {facts.issuer}, not by the {spec.authority} authority"
    if authority_keys is not None and facts.issuer_key_identifier not in authority_keys:
        return f"the {spec.authority} authority has another key now"
    return REVOKED if facts.serial in revoked else None


def _changed_names(facts: CertificateFacts, spec: "CertificateSpec") -> str | None:
    has = {*facts.dns_names, *facts.ip_addresses}
    wanted = {*spec.dns_names, *spec.ip_addresses}
    if missing := sorted(wanted - has):
        return f"it lacks the name {', '.join(missing)}"
    if surplus := sorted(has - wanted):
        return f"it still has the name {', '.join(surplus)}"
    return None


def _outside_validity(facts: CertificateFacts, now: datetime) -> str | None:
    if facts.not_after <= now:
        return f"it expired on {facts.not_after:%Y-%m-%d}"
    if now < facts.not_before:
        return f"it is not valid before {facts.not_before:%Y-%m-%d %H:%M} UTC"
    return None


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None

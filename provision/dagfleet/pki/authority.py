"""One certificate authority: its certificate, and, once unlocked, its key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from dagfleet.pki.errors import MismatchedKeyError, PkiError
from dagfleet.pki.keys import generate_key
from dagfleet.pki.names import AuthorityName, common_name, leaf_subject

if TYPE_CHECKING:
    from dagfleet.derive.certificates import CertificateSpec

CLOCK_TOLERANCE = timedelta(hours=1)  # a host whose clock is behind must accept a fresh leaf
_YEAR = timedelta(days=365.25)
_USAGE = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, kw_only=True)
class Authority:
    """An authority for either `docker` or `mesh`. Without a `key` it can be looked at, not sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | None = None

    @classmethod
    def create(cls, name: AuthorityName, *, years: int, now: datetime) -> Self:
        """Return a new self-signed authority that may sign leaves and nothing below (pathlen 0)."""
        key = generate_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(name.subject(), name.subject(), key.public_key(), now=now, until=now + years * _YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @property
    def name(self) -> AuthorityName | None:
        """The parts of its common name; None for an authority that is not one of ours."""
        return AuthorityName.parse(common_name(self.certificate.subject))

    @property
    def key_identifier(self) -> bytes:
        """The identifier that the leaves it signed carry (their AKI)."""
        return self._subject_key_identifier().digest

    def unlocked(self, key: ec.EllipticCurvePrivateKey) -> "Authority":
        """Return this authority with `key`; raises `MismatchedKeyError` when it is another one's key."""
        if key.public_key() != self.certificate.public_key():
            raise MismatchedKeyError(
                f"key and certificate of {common_name(self.certificate.subject)} do not belong together",
                fix="restore both files of that authority from the same backup",
            )
        return Authority(certificate=self.certificate, key=key)

    def is_self_signed(self) -> bool:
        """Tell whether the certificate is a root whose own signature holds."""
        try:
            self.certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def sign(
        self, public_key: ec.EllipticCurvePublicKey, spec: "CertificateSpec", *, days: int, now: datetime
    ) -> x509.Certificate:
        """Return a leaf for `public_key`; subject, names and usage come from `spec` alone."""
        subject = common_name(self.certificate.subject)
        if self.key is None:
            raise PkiError(f"the authority {subject} is locked", fix="unlock it with its passphrase")
        end = self.certificate.not_valid_after_utc
        if end <= now:
            raise PkiError(
                f"the authority {subject} expired on {end:%Y-%m-%d}", fix="create a new generation of it"
            )
        until = min(now + timedelta(days=days), end)
        builder = (
            _builder(
                leaf_subject(spec.common_name), self.certificate.subject, public_key, now=now, until=until
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGE[spec.usage]]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    self._subject_key_identifier()
                ),
                critical=False,
            )
        )
        if names := _alternative_names(spec):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _subject_key_identifier(self) -> x509.SubjectKeyIdentifier:
        return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - CLOCK_TOLERANCE).replace(microsecond=0))
        .not_valid_after(until.replace(microsecond=0))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(spec: "CertificateSpec") -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in spec.dns_names),
        *(x509.IPAddress(ip_address(address)) for address in spec.ip_addresses),
    ]

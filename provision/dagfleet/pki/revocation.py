"""Revocation lists. HAProxy asks for one of every authority that it trusts, an empty one included."""

import re
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from dagfleet.pki.authority import CLOCK_TOLERANCE, Authority
from dagfleet.pki.errors import PkiError
from dagfleet.pki.names import common_name
from dagfleet.pki.register import Issued

_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----\n?", re.DOTALL)


def revocation_list(authority: Authority, leaves: Iterable[Issued], now: datetime) -> bytes:
    """Return the authority's list in PEM: those of `leaves` that are revoked and have not run out.

    It is valid as long as the authority. A verifier refuses everybody once a list has run out, and the date
    protects against lists that no longer arrive; ours are pushed, and each push is confirmed.
    """
    if authority.key is None:
        raise PkiError(
            f"the authority {common_name(authority.certificate.subject)} is locked",
            fix="unlock it with its passphrase",
        )
    moment = now.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(moment - CLOCK_TOLERANCE)
        .next_update(authority.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
    )
    for leaf in leaves:
        if leaf.revoked is not None and leaf.not_after > now:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(leaf.serial)
                .revocation_date(leaf.revoked.replace(microsecond=0))
                .build()
            )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def revoked_serials(pem: bytes) -> frozenset[int]:
    """Return the serials in all lists of a file."""
    return frozenset(
        entry.serial_number for block in _BLOCK.findall(pem) for entry in x509.load_pem_x509_crl(block)
    )


def listed_keys(pem: bytes) -> frozenset[bytes | None]:
    """Return the identifiers of the authorities whose lists a file has."""
    return frozenset(
        x509.load_pem_x509_crl(block)
        .extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        .value.key_identifier
        for block in _BLOCK.findall(pem)
    )

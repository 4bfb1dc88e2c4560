"""A request that proves nothing, or has the wrong kind of key, is refused with the reason."""

import base64
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect, request_key_fingerprint
from dagfleet.pki.errors import RefusedRequestError
from dagfleet.pki.requests import requested_key

EMPTY = x509.Name([])
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def request(key: PrivateKey) -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(EMPTY).sign(key, algorithm)
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_request_with_a_forged_key_is_refused() -> None:
    genuine = ec.generate_private_key(ec.SECP256R1())
    stolen = ec.generate_private_key(ec.SECP256R1())
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = x509.load_pem_x509_csr(request(genuine)).public_bytes(serialization.Encoding.DER)
    forged = der.replace(
        genuine.public_key().public_bytes(*encoding), stolen.public_key().public_bytes(*encoding)
    )
    body = base64.encodebytes(forged)
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"

    with pytest.raises(RefusedRequestError, match="has not shown that it holds that key"):
        requested_key(pem)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RSA"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA secp384r1"),
    ],
)
def test_only_p256_keys_are_signed(key: PrivateKey, kind: str) -> None:
    with pytest.raises(RefusedRequestError, match=f"a key of the kind {kind}, only ECDSA P-256"):
        requested_key(request(key))


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedRequestError, match="not a certificate signing request"):
        requested_key(content)


def test_request_and_leaf_have_the_same_key_fingerprint(
    shared_authorities: Authorities, spec: Callable[..., CertificateSpec]
) -> None:
    pem = request(ec.generate_private_key(ec.SECP256R1()))

    leaf = shared_authorities.sign_request(pem, spec(), 90)

    assert inspect(leaf).key_fingerprint == request_key_fingerprint(pem)

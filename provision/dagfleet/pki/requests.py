"""Certificate signing requests, of which nothing but a proven public key is believed."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from dagfleet.pki.errors import RefusedRequestError
from dagfleet.pki.keys import key_fingerprint


def requested_key(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key in a request whose sender holds the private one.

    Raises `RefusedRequestError` when the request is damaged, its own signature does not hold, or the key is
    not ECDSA P-256. Its subject and extensions are ignored on purpose: a host does not choose them.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        signed = request.is_signature_valid
        key = request.public_key()
    except ValueError as error:
        raise RefusedRequestError(
            f"this is not a certificate signing request ({error})", fix="let the host make a new one"
        ) from error
    if not signed:
        raise RefusedRequestError(
            "the request's signature does not match its key: its sender has not shown that it holds that key",
            fix="let the host make a new one; if it happens again, find out who sent it",
        )
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedRequestError(
            f"the request has a key of the kind {_kind(key)}, only ECDSA P-256 is signed",
            fix="let the host make a key with curve secp256r1",
        )
    return key


def request_key_fingerprint(csr_pem: bytes) -> str:
    """Return the SHA-256 of the request's public key, to compare with `CertificateFacts.key_fingerprint`."""
    return key_fingerprint(requested_key(csr_pem))


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")

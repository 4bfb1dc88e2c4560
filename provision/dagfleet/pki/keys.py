"""Keys on the P-256 curve, and their PEM files."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from dagfleet.pki.errors import UnreadableFileError, WrongPassphraseError
from dagfleet.pki.files import require_private


def generate_key() -> ec.EllipticCurvePrivateKey:
    """Return a new ECDSA P-256 key (accepted by dockerd 20.10, HAProxy 2.6, libpq and the docker SDK)."""
    return ec.generate_private_key(ec.SECP256R1())


def encrypted_pem(key: ec.EllipticCurvePrivateKey, passphrase: str) -> bytes:
    """Return `key` as PKCS#8 PEM, encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )


def plain_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return `key` as PKCS#8 PEM in clear, for identities that a program uses unattended."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_encrypted_key(path: Path, passphrase: str) -> ec.EllipticCurvePrivateKey:
    """Return the key in `path`.

    Raises `LoosePermissionsError`, `WrongPassphraseError` or `UnreadableFileError`.
    """
    require_private(path)
    content = path.read_bytes()
    if b"ENCRYPTED PRIVATE KEY" not in content:
        raise UnreadableFileError(
            f"{path} is not an encrypted private key", fix="restore it from your backup of the state folder"
        )
    try:
        key = serialization.load_pem_private_key(content, passphrase.encode())
    except ValueError as error:
        raise WrongPassphraseError(
            f"the passphrase does not open {path}",
            fix="give the one it was created with, in pki.passphrase or DAGFLEET_CA_PASSPHRASE",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnreadableFileError(f"{path} is not an elliptic curve key", fix="restore it from your backup")
    return key


def key_fingerprint(key: PublicKeyTypes) -> str:
    """Return the SHA-256 of a public key (its SubjectPublicKeyInfo) in hexadecimal."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()

"""The generations of one authority: which are trusted, and which signs."""

from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from dagfleet.pki.authority import Authority
from dagfleet.pki.errors import IncompleteStoreError, MissingStoreError, UnreadableFileError
from dagfleet.pki.keys import read_encrypted_key
from dagfleet.pki.rotation import Rotation, read_rotation

CERTIFICATE = "ca.crt"
KEY = "ca.key"
REVOCATION_LIST = "ca.crl"
NEXT_CERTIFICATE = "next.crt"
NEXT_KEY = "next.key"


@dataclass(frozen=True, kw_only=True)
class Generations:
    """What `ca.crt` holds, oldest first, and, while one replaces the other, the successor and the journal."""

    trusted: tuple[Authority, ...]
    successor: Authority | None = None
    rotation: Rotation | None = None

    @property
    def signer(self) -> Authority:
        """Return the generation that signs: the successor as soon as everybody trusts it."""
        if self.successor and self.rotation and self.rotation.new_signs:
            return self.successor
        return self.trusted[0]

    def unlocked(self, directory: Path, passphrase: str) -> "Generations":
        """Return it with the keys in an authority's folder; raises what `read_encrypted_key` raises."""
        successor = self.successor
        if successor:
            successor = successor.unlocked(read_encrypted_key(directory / NEXT_KEY, passphrase))
        return replace(
            self,
            trusted=tuple(
                successor
                if successor and each.key_identifier == successor.key_identifier
                else each.unlocked(read_encrypted_key(directory / KEY, passphrase))
                for each in self.trusted
            ),
            successor=successor,
        )


def read_generations(directory: Path, name: str) -> Generations:
    """Return the generations of authority `name` in the store `directory`, locked; certificates are enough.

    Raises `MissingStoreError`, `IncompleteStoreError` or `UnreadableFileError`.
    """
    folder = directory / name
    if not (folder / CERTIFICATE).is_file():
        raise MissingStoreError(
            f"{folder / CERTIFICATE} is missing", fix="run: dagfleet apply, or restore it from your backup"
        )
    trusted = _authorities(folder / CERTIFICATE, name)
    rotation = read_rotation(folder)
    if rotation is None:
        return Generations(trusted=trusted)
    if not (folder / NEXT_CERTIFICATE).is_file():
        raise IncompleteStoreError(
            f"{directory} is incomplete, it lacks {name}/{NEXT_CERTIFICATE}",
            fix="restore it from your backup",
        )
    successor = _authorities(folder / NEXT_CERTIFICATE, name)[0]
    return Generations(trusted=trusted, successor=successor, rotation=rotation)


def _authorities(path: Path, name: str) -> tuple[Authority, ...]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise UnreadableFileError(
            f"{path} is not a certificate", fix="restore it from your backup"
        ) from error
    authorities = tuple(Authority(certificate=certificate) for certificate in certificates)
    for authority in authorities:
        if authority.name is None or authority.name.authority != name or not authority.is_self_signed():
            raise UnreadableFileError(
                f"{path} is not the certificate of a {name} authority", fix="restore it from your backup"
            )
    return authorities

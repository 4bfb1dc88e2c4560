"""The fleet's two authorities on disk: `<pki>/docker` and `<pki>/mesh`, each `ca.crt` and `ca.key`."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from dagfleet.pki.authority import Authority
from dagfleet.pki.errors import IncompleteStoreError, MissingStoreError, PkiError, UnreadableFileError
from dagfleet.pki.files import (
    PUBLIC_FILE,
    make_private_directory,
    require_private,
    sync_directory,
    write_atomically,
)
from dagfleet.pki.keys import encrypted_pem, generate_key, plain_pem, read_encrypted_key
from dagfleet.pki.names import AuthorityName
from dagfleet.pki.requests import requested_key

if TYPE_CHECKING:
    from dagfleet.derive.certificates import CertificateSpec

# A Docker client certificate is root on a host: it never comes from the authority of ordinary traffic.
NAMES = ("docker", "mesh")
CERTIFICATE = "ca.crt"
KEY = "ca.key"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


class Authorities:
    """Both authorities of a fleet: loaded they can be compared with, unlocked they can sign."""

    def __init__(self, authorities: Mapping[str, Authority], directory: Path, clock: Clock = utc_now) -> None:
        self._authorities = dict(authorities)
        self._clock = clock
        self.directory = directory

    @classmethod
    def create(
        cls, directory: Path, fleet_name: str, passphrase: str, ca_years: int, *, clock: Clock = utc_now
    ) -> Self:
        """Make both authorities in `directory` and return them unlocked. Existing ones are never replaced.

        Each authority's folder appears whole, by a rename: key and certificate, or nothing.
        """
        if not passphrase:
            raise PkiError("the passphrase of the authorities' keys is empty", fix="choose one")
        if existing := [directory / name for name in NAMES if (directory / name).exists()]:
            raise PkiError(
                f"{existing[0]} exists already: the authorities of {fleet_name} are not made twice",
                fix="load them instead",
            )
        now = clock()
        made = {
            name: Authority.create(
                AuthorityName(fleet=fleet_name, authority=name, generation=1), years=ca_years, now=now
            )
            for name in NAMES
        }
        make_private_directory(directory)
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=".new-"))
        try:
            for name, authority in made.items():
                _write(make_private_directory(staging / name), authority, passphrase)
            for name in made:
                (staging / name).rename(directory / name)
            sync_directory(directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return cls(made, directory, clock)

    @classmethod
    def load(cls, directory: Path, *, clock: Clock = utc_now) -> Self:
        """Return the authorities in `directory`, still locked.

        Raises `MissingStoreError`, `IncompleteStoreError`, `LoosePermissionsError` or `UnreadableFileError`.
        """
        files = [directory / name / file for name in NAMES for file in (CERTIFICATE, KEY)]
        missing = [file for file in files if not file.is_file()]
        if len(missing) == len(files):
            raise MissingStoreError(
                f"{directory} holds no certificate authorities", fix="run: dagfleet apply"
            )
        if missing:
            raise IncompleteStoreError(
                f"{directory} is incomplete, it lacks "
                f"{', '.join(str(file.relative_to(directory)) for file in missing)}",
                fix=f"restore it from your backup; if no host has certificates yet, remove {directory} and "
                "run: dagfleet apply",
            )
        for name in NAMES:
            require_private(directory / name)
            require_private(directory / name / KEY)
        return cls({name: read_authority(directory, name) for name in NAMES}, directory, clock)

    def unlock(self, passphrase: str) -> Self:
        """Open both keys, so that this object can sign, and return it.

        Raises `WrongPassphraseError`, `MismatchedKeyError` or `UnreadableFileError`; then nothing is open.
        """
        self._authorities = {
            name: authority.unlocked(read_encrypted_key(self.directory / name / KEY, passphrase))
            for name, authority in self._authorities.items()
        }
        return self

    def sign_request(self, csr_pem: bytes, spec: "CertificateSpec", days: int) -> bytes:
        """Return a leaf in PEM for the key in a request; everything else in it comes from `spec`.

        Raises `RefusedRequestError` (see `requested_key`), or `PkiError` while locked.
        """
        return self._sign(requested_key(csr_pem), spec, days)

    def issue(self, spec: "CertificateSpec", days: int) -> tuple[bytes, bytes]:
        """Return a new key and its leaf, both PEM, for an identity that lives on the operator's machine."""
        key = generate_key()
        return plain_pem(key), self._sign(key.public_key(), spec, days)

    def certificate(self, name: str) -> bytes:
        """Return the certificate of authority `docker` or `mesh` in PEM."""
        return self._authorities[name].certificate.public_bytes(Encoding.PEM)

    def key_identifier(self, name: str) -> bytes:
        """Return the identifier by which leaves name the authority's key (their AKI)."""
        return self._authorities[name].key_identifier

    def _sign(self, key: ec.EllipticCurvePublicKey, spec: "CertificateSpec", days: int) -> bytes:
        leaf = self._authorities[spec.authority].sign(key, spec, days=days, now=self._clock())
        return leaf.public_bytes(Encoding.PEM)


def _write(directory: Path, authority: Authority, passphrase: str) -> None:
    if authority.key is not None:
        write_atomically(directory / KEY, encrypted_pem(authority.key, passphrase))
    write_atomically(
        directory / CERTIFICATE, authority.certificate.public_bytes(Encoding.PEM), mode=PUBLIC_FILE
    )


def read_authority(directory: Path, name: str) -> Authority:
    """Return authority `name` of the store `directory`, locked; its certificate is enough for that.

    Raises `MissingStoreError` or `UnreadableFileError`.
    """
    path = directory / name / CERTIFICATE
    if not path.is_file():
        raise MissingStoreError(
            f"{path} is missing", fix="run: dagfleet apply, or restore it from your backup"
        )
    try:
        authority = Authority(certificate=x509.load_pem_x509_certificate(path.read_bytes()))
    except ValueError as error:
        raise UnreadableFileError(
            f"{path} is not a certificate", fix="restore it from your backup"
        ) from error
    if authority.name is None or authority.name.authority != name or not authority.is_self_signed():
        raise UnreadableFileError(
            f"{path} is not the certificate of a {name} authority", fix="restore it from your backup"
        )
    return authority

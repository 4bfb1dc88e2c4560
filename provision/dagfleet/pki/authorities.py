"""The fleet's two authorities on disk: `<pki>/docker` and `<pki>/mesh`, a folder each.

| file | what it is |
| --- | --- |
| `ca.crt` | whom the fleet trusts: one generation, or two while one replaces the other |
| `ca.key` | the key of the generation that signs, PKCS#8, encrypted |
| `ca.crl` | a revocation list of each generation in `ca.crt` |
| `issued.jsonl` | every leaf that was signed, see `register` |
| `rotation.json`, `next.crt`, `next.key` | while a rotation is under way, see `rotation` |
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from dagfleet.pki.authority import Authority
from dagfleet.pki.errors import IncompleteStoreError, MissingStoreError, PkiError
from dagfleet.pki.files import (
    PUBLIC_FILE,
    make_private_directory,
    require_private,
    sync_directory,
    write_atomically,
)
from dagfleet.pki.generations import (
    CERTIFICATE,
    KEY,
    NEXT_CERTIFICATE,
    NEXT_KEY,
    REVOCATION_LIST,
    Generations,
    read_generations,
)
from dagfleet.pki.keys import encrypted_pem, generate_key, plain_pem
from dagfleet.pki.names import AuthorityName
from dagfleet.pki.register import Issued, Register
from dagfleet.pki.requests import requested_key
from dagfleet.pki.revocation import listed_keys, revocation_list, revoked_serials
from dagfleet.pki.rotation import (
    DROP_OLD,
    Rotation,
    end_rotation,
    read_rotation,
    write_rotation,
)

if TYPE_CHECKING:
    from dagfleet.derive.certificates import CertificateSpec

# A Docker client certificate is root on a host: it never comes from the authority of ordinary traffic.
NAMES = ("docker", "mesh")
REGISTER = "issued.jsonl"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


class Authorities:
    """Both authorities of a fleet: loaded they can be compared with, unlocked they can sign."""

    def __init__(
        self, generations: Mapping[str, Generations], directory: Path, clock: Clock = utc_now
    ) -> None:
        self._generations = dict(generations)
        self._clock = clock
        self.directory = directory

    @classmethod
    def create(
        cls, directory: Path, fleet_name: str, passphrase: str, ca_years: int, *, clock: Clock = utc_now
    ) -> Self:
        """Make both authorities in `directory` and return them unlocked. Existing ones are never replaced.

        Each authority's folder appears whole, by a rename: key and certificate, or nothing.
        """
        _require_passphrase(passphrase)
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
                folder = make_private_directory(staging / name)
                write_atomically(folder / KEY, _encrypted(authority, passphrase))
                _publish(folder / CERTIFICATE, _pem([authority]))
                _publish(folder / REVOCATION_LIST, revocation_list(authority, (), now))
            for name in made:
                (staging / name).rename(directory / name)
            sync_directory(directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return cls({name: Generations(trusted=(each,)) for name, each in made.items()}, directory, clock)

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
        for name in NAMES:
            if read_rotation(directory / name):
                nexts = (directory / name / NEXT_CERTIFICATE, directory / name / NEXT_KEY)
                missing += [file for file in nexts if not file.is_file()]
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
        return cls({name: read_generations(directory, name) for name in NAMES}, directory, clock)

    def unlock(self, passphrase: str) -> Self:
        """Open the keys, so that this object can sign, and return it.

        Raises `WrongPassphraseError`, `MismatchedKeyError` or `UnreadableFileError`; then nothing is open.
        """
        self._generations = {
            name: each.unlocked(self.directory / name, passphrase) for name, each in self._generations.items()
        }
        for name in NAMES:
            if not (self.directory / name / REVOCATION_LIST).is_file():
                self._write_revocation_list(name)
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
        """Return the certificate, in PEM, of the generation of `docker` or `mesh` that signs."""
        return _pem([self._generations[name].signer])

    def trusted(self, name: str) -> tuple[Authority, ...]:
        """Return the generations that the fleet trusts, the oldest first."""
        return self._generations[name].trusted

    def signer(self, name: str) -> Authority:
        """Return the generation that signs."""
        return self._generations[name].signer

    def key_identifiers(self, name: str) -> frozenset[bytes]:
        """Return the identifiers by which leaves name the keys of trusted generations (their AKI)."""
        return frozenset(each.key_identifier for each in self.trusted(name))

    def rotation(self, name: str) -> Rotation | None:
        """Return the rotation that is under way."""
        return read_rotation(self.directory / name)

    def issued(self, name: str) -> tuple[Issued, ...]:
        """Return every leaf that the authority has signed, in the order of signing."""
        return self._register(name).entries()

    def revoked(self, name: str) -> frozenset[int]:
        """Return the serials in the authority's revocation lists."""
        path = self.directory / name / REVOCATION_LIST
        return revoked_serials(path.read_bytes()) if path.is_file() else frozenset()

    def take_note(self, name: str, leaf: Issued) -> None:
        """Write down a leaf that was signed elsewhere, so that it can be revoked."""
        if leaf.serial not in {known.serial for known in self.issued(name)}:
            self._register(name).add(leaf)

    def revoke(self, name: str, serials: Iterable[int]) -> None:
        """Put leaves on the authority's revocation list; they are refused where the list has arrived.

        Raises `PkiError` while locked; again is no change.
        """
        self._register(name).revoke(serials, self._clock())
        self._write_revocation_list(name)

    def begin_rotation(self, name: str, passphrase: str, *, years: int, who: str) -> Rotation:
        """Make the next generation and open the journal, or return the rotation that is under way.

        Nobody trusts the new generation yet. Until the journal is written, nothing has happened.
        """
        if under_way := self.rotation(name):
            return under_way
        _require_passphrase(passphrase)
        now, folder, current = self._clock(), self.directory / name, self.signer(name)
        successor = Authority.create(_name(current).successor(), years=years, now=now)
        write_atomically(folder / NEXT_KEY, _encrypted(successor, passphrase))
        _publish(folder / NEXT_CERTIFICATE, _pem([successor]))
        rotation = Rotation(
            authority=name,
            old=_name(current).generation,
            new=_name(successor).generation,
            since=now.isoformat(timespec="seconds"),
            who=who,
        )
        write_rotation(folder, rotation)
        self._generations[name] = Generations(
            trusted=self._generations[name].trusted, successor=successor, rotation=rotation
        )
        return rotation

    def enter(self, name: str, rotation: Rotation) -> None:
        """Write the journal, and make `ca.crt` and `ca.crl` what its step says; again is no change.

        Raises `PkiError` while locked.
        """
        folder, generations = self.directory / name, self._generations[name]
        successor = generations.successor
        if successor is None:
            raise PkiError(f"no rotation of the {name} authority is under way")
        write_rotation(folder, rotation)
        old = [each for each in generations.trusted if each.key_identifier != successor.key_identifier]
        trusted = (successor,) if rotation.step == DROP_OLD else (*old, successor)
        self._generations[name] = Generations(trusted=trusted, successor=successor, rotation=rotation)
        # Who trusts an authority without its list refuses all its leaves: the list comes first and goes last.
        listed = listed_keys((folder / REVOCATION_LIST).read_bytes())
        if not listed >= self.key_identifiers(name):
            self._write_revocation_list(name)
        _publish(folder / CERTIFICATE, _pem(trusted))
        if listed > self.key_identifiers(name):
            self._write_revocation_list(name)

    def finish_rotation(self, name: str) -> None:
        """Make the new generation the only one; the old one's key is gone after this."""
        folder = self.directory / name
        write_atomically(folder / KEY, (folder / NEXT_KEY).read_bytes())
        end_rotation(folder)
        for leftover in (NEXT_KEY, NEXT_CERTIFICATE):
            (folder / leftover).unlink(missing_ok=True)
        self._generations[name] = Generations(trusted=(self.signer(name),))

    def _sign(self, key: ec.EllipticCurvePublicKey, spec: "CertificateSpec", days: int) -> bytes:
        authority = self.signer(spec.authority)
        leaf = authority.sign(key, spec, days=days, now=self._clock())
        self._register(spec.authority).add(
            Issued(
                serial=leaf.serial_number,
                fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
                generation=_name(authority).generation,
                name=spec.name,
                host=spec.host,
                identity=spec.common_name,
                not_after=leaf.not_valid_after_utc,
            )
        )
        return leaf.public_bytes(Encoding.PEM)

    def _register(self, name: str) -> Register:
        return Register(self.directory / name / REGISTER)

    def _write_revocation_list(self, name: str) -> None:
        leaves, now = self.issued(name), self._clock()
        lists = [
            revocation_list(each, (leaf for leaf in leaves if leaf.generation == _name(each).generation), now)
            for each in self.trusted(name)
        ]
        _publish(self.directory / name / REVOCATION_LIST, b"".join(lists))


def _require_passphrase(passphrase: str) -> None:
    if not passphrase:
        raise PkiError("the passphrase of the authorities' keys is empty", fix="choose one")


def _name(authority: Authority) -> AuthorityName:
    if authority.name is None:
        raise PkiError("an authority that is not one of ours")
    return authority.name


def _encrypted(authority: Authority, passphrase: str) -> bytes:
    if authority.key is None:
        raise PkiError("an authority without its key cannot be stored")
    return encrypted_pem(authority.key, passphrase)


def _pem(authorities: Iterable[Authority]) -> bytes:
    return b"".join(each.certificate.public_bytes(Encoding.PEM) for each in authorities)


def _publish(path: Path, content: bytes) -> None:
    write_atomically(path, content, mode=PUBLIC_FILE)

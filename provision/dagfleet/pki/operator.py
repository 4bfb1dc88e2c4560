"""The operator's own identities, `reader` and `launcher`: files in `<pki>/operator`, issued on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.pki.authorities import Authorities, Clock, utc_now
from dagfleet.pki.errors import PkiError
from dagfleet.pki.facts import CertificateFacts, inspect, needs_renewal, unusable
from dagfleet.pki.files import make_private_directory, require_private, write_atomically
from dagfleet.pki.generations import CERTIFICATE, REVOCATION_LIST, read_generations
from dagfleet.pki.revocation import revoked_serials

if TYPE_CHECKING:
    from dagfleet.derive.certificates import CertificateSpec

Unlock = Callable[[], Authorities]


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The three files that a TLS client of ours needs."""

    authority: Path
    certificate: Path
    key: Path


class CredentialsNeededError(PkiError):
    """An identity has no certificate that still serves, and nothing to issue one with."""


def operator_files(directory: Path, spec: "CertificateSpec") -> Credentials:
    """Return where the files of the operator's identity `spec` are, or will be."""
    folder = directory / "operator"
    return Credentials(
        authority=directory / spec.authority / CERTIFICATE,
        certificate=folder / f"{spec.common_name}.crt",
        key=folder / f"{spec.common_name}.key",
    )


def operator_credentials(
    directory: Path,
    spec: "CertificateSpec",
    *,
    days: int,
    unlock: Unlock | None = None,
    again: Callable[[CertificateFacts], str | None] = lambda _facts: None,
    clock: Clock = utc_now,
) -> Credentials:
    """Return the files of the operator's identity `spec` in the store `directory`.

    A missing or ageing certificate is issued again with the authorities that `unlock` returns; it is called
    only then, so that nobody is asked for a passphrase in vain. `again` may find a further reason. Without
    `unlock` an ageing certificate serves until it expires. Raises `CredentialsNeededError` when none is
    usable, or what `unlock` raises.
    """
    credentials = operator_files(directory, spec)
    reason = _objection(credentials, directory, spec, clock(), ageing=unlock is not None)
    if reason is None:
        reason = again(inspect(credentials.certificate.read_bytes()))
    if reason is None:
        return credentials
    if unlock is None:
        raise CredentialsNeededError(
            f"the operator's identity {spec.common_name} cannot be used: {reason}", fix="run: dagfleet apply"
        )
    key, certificate = unlock().issue(spec, days)
    make_private_directory(credentials.key.parent)
    # The old certificate goes first: a crash between the two writes leaves none, not one of another key.
    credentials.certificate.unlink(missing_ok=True)
    write_atomically(credentials.key, key)
    write_atomically(credentials.certificate, certificate)
    return credentials


def _objection(
    credentials: Credentials, directory: Path, spec: "CertificateSpec", now: datetime, *, ageing: bool
) -> str | None:
    if not credentials.key.is_file() or not credentials.certificate.is_file():
        return "it was not issued yet"
    require_private(credentials.key)
    listed = directory / spec.authority / REVOCATION_LIST
    return (needs_renewal if ageing else unusable)(
        inspect(credentials.certificate.read_bytes()),
        spec,
        now,
        authority_keys=[each.key_identifier for each in read_generations(directory, spec.authority).trusted],
        revoked=revoked_serials(listed.read_bytes()) if listed.is_file() else (),
    )

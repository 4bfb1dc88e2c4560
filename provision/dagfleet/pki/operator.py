"""The operator's own identities, `reader` and `launcher`: files in `<pki>/operator`, issued on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.pki.authorities import CERTIFICATE, Authorities, Clock, read_authority, utc_now
from dagfleet.pki.errors import PkiError
from dagfleet.pki.facts import inspect, needs_renewal, unusable
from dagfleet.pki.files import make_private_directory, require_private, write_atomically

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


def operator_credentials(
    directory: Path,
    spec: "CertificateSpec",
    *,
    days: int,
    unlock: Unlock | None = None,
    clock: Clock = utc_now,
) -> Credentials:
    """Return the files of the operator's identity `spec` in the store `directory`.

    A missing or ageing certificate is issued again with the authorities that `unlock` returns; it is called
    only then, so that nobody is asked for a passphrase in vain. Without `unlock` an ageing certificate serves
    until it expires. Raises `CredentialsNeededError` when none is usable, or what `unlock` raises.
    """
    folder = directory / "operator"
    credentials = Credentials(
        authority=directory / spec.authority / CERTIFICATE,
        certificate=folder / f"{spec.common_name}.crt",
        key=folder / f"{spec.common_name}.key",
    )
    reason = _objection(credentials, directory, spec, clock(), ageing=unlock is not None)
    if reason is None:
        return credentials
    if unlock is None:
        raise CredentialsNeededError(
            f"the operator's identity {spec.common_name} cannot be used: {reason}", fix="run: dagfleet apply"
        )
    key, certificate = unlock().issue(spec, days)
    make_private_directory(folder)
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
    return (needs_renewal if ageing else unusable)(
        inspect(credentials.certificate.read_bytes()),
        spec,
        now,
        authority_key_identifier=read_authority(directory, spec.authority).key_identifier,
    )

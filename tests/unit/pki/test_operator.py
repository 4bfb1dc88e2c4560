"""The operator's identities are issued when they are needed, and nobody is asked for a passphrase in vain."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect, operator_credentials
from dagfleet.pki.errors import LoosePermissionsError
from dagfleet.pki.operator import CredentialsNeededError

READER = CertificateSpec(name="reader", host=None, authority="docker", common_name="reader", usage="client")


class Unlocking:
    """Opens the store's authorities, and counts how often."""

    def __init__(self, store: Path, passphrase: str, time: datetime) -> None:
        self.calls = 0
        self._store, self._passphrase, self._time = store, passphrase, time

    def __call__(self) -> Authorities:
        self.calls += 1
        return Authorities.load(self._store, clock=lambda: self._time).unlock(self._passphrase)


def test_a_missing_identity_is_issued_once(store: Path, passphrase: str, now: datetime) -> None:
    unlock = Unlocking(store, passphrase, now)

    first = operator_credentials(store, READER, days=90, unlock=unlock, clock=lambda: now)
    issued = first.certificate.read_bytes()
    second = operator_credentials(store, READER, days=90, unlock=unlock, clock=lambda: now)

    assert unlock.calls == 1
    assert first == second
    assert second.certificate.read_bytes() == issued
    assert inspect(issued).common_name == "reader"
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert first.authority.read_bytes() == Authorities.load(store).certificate("docker")


def test_an_ageing_identity_is_renewed_only_by_someone_who_can(
    store: Path, passphrase: str, now: datetime
) -> None:
    first = operator_credentials(
        store, READER, days=90, unlock=Unlocking(store, passphrase, now), clock=lambda: now
    )
    issued = first.certificate.read_bytes()
    later = now + timedelta(days=80)

    assert (
        operator_credentials(store, READER, days=90, clock=lambda: later).certificate.read_bytes() == issued
    )
    renewed = operator_credentials(
        store, READER, days=90, unlock=Unlocking(store, passphrase, later), clock=lambda: later
    )
    assert renewed.certificate.read_bytes() != issued


def test_without_a_way_to_issue_the_error_names_identity_and_reason(
    store: Path, passphrase: str, now: datetime
) -> None:
    with pytest.raises(CredentialsNeededError, match="reader cannot be used: it was not issued yet"):
        operator_credentials(store, READER, days=90, clock=lambda: now)
    operator_credentials(store, READER, days=90, unlock=Unlocking(store, passphrase, now), clock=lambda: now)
    with pytest.raises(CredentialsNeededError, match="reader cannot be used: it expired on"):
        operator_credentials(store, READER, days=90, clock=lambda: now + timedelta(days=91))


def test_a_key_that_others_can_read_is_refused(store: Path, passphrase: str, now: datetime) -> None:
    credentials = operator_credentials(
        store, READER, days=90, unlock=Unlocking(store, passphrase, now), clock=lambda: now
    )
    credentials.key.chmod(0o644)

    with pytest.raises(LoosePermissionsError):
        operator_credentials(store, READER, days=90, clock=lambda: now)

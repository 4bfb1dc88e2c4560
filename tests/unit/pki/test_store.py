"""The authorities' folder: private, whole or refused, and never replaced."""

import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.errors import EXIT_BAD_CONFIGURATION
from dagfleet.pki import Authorities, PkiError
from dagfleet.pki.errors import (
    IncompleteStoreError,
    LoosePermissionsError,
    MismatchedKeyError,
    MissingStoreError,
    UnreadableFileError,
    WrongPassphraseError,
)

FILES = ["docker/ca.crt", "docker/ca.key", "mesh/ca.crt", "mesh/ca.key"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_encrypted_and_private(store: Path) -> None:
    for name in ("docker", "mesh"):
        assert (store / name / "ca.key").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert mode(store / name / "ca.key") == 0o600
        assert mode(store / name) == 0o700
    assert mode(store) == 0o700


def test_nothing_but_keys_certificates_and_lists_is_left_behind(store: Path) -> None:
    found = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert found == {*FILES, "docker/ca.crl", "mesh/ca.crl"}


def test_reloaded_and_unlocked_authorities_sign(
    store: Path, passphrase: str, spec: Callable[..., CertificateSpec]
) -> None:
    key, certificate = Authorities.load(store).unlock(passphrase).issue(spec(), 90)

    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert certificate.startswith(b"-----BEGIN CERTIFICATE-----")


def test_locked_authorities_do_not_sign(store: Path, spec: Callable[..., CertificateSpec]) -> None:
    with pytest.raises(PkiError, match="lab mesh g1 is locked"):
        Authorities.load(store).issue(spec(), 90)


def test_existing_authorities_are_never_replaced(store: Path, passphrase: str) -> None:
    before = {file: (store / file).read_bytes() for file in FILES}

    with pytest.raises(PkiError, match="not made twice"):
        Authorities.create(store, "lab", passphrase, 10)

    assert {file: (store / file).read_bytes() for file in FILES} == before


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="is empty"):
        Authorities.create(tmp_path / "pki", "lab", "", 10)
    assert not (tmp_path / "pki").exists()


def test_a_fleet_name_too_long_for_a_certificate_is_refused(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(PkiError, match="a common name has 1 to 64"):
        Authorities.create(tmp_path / "pki", "x" * 60, passphrase, 10)
    assert not (tmp_path / "pki" / "docker").exists()


def test_a_wrong_passphrase_is_named_as_such(store: Path) -> None:
    with pytest.raises(WrongPassphraseError, match=r"does not open .*docker/ca\.key") as raised:
        Authorities.load(store).unlock("guess")
    assert raised.value.exit_code == EXIT_BAD_CONFIGURATION
    assert "DAGFLEET_CA_PASSPHRASE" in str(raised.value.fix)


def test_an_absent_store_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(MissingStoreError, match="holds no certificate authorities"):
        Authorities.load(tmp_path / "pki")


@pytest.mark.parametrize("file", FILES)
def test_a_store_that_lacks_a_file_is_refused_by_that_files_name(store: Path, file: str) -> None:
    (store / file).unlink()

    with pytest.raises(IncompleteStoreError, match=f"it lacks {file}"):
        Authorities.load(store)


@pytest.mark.parametrize("name", ["docker", "mesh/ca.key"])
def test_loose_permissions_are_refused_with_the_command_that_mends_them(store: Path, name: str) -> None:
    wanted = mode(store / name)
    (store / name).chmod(wanted | 0o040)

    with pytest.raises(LoosePermissionsError, match="others on this machine") as raised:
        Authorities.load(store)
    assert raised.value.fix == f"chmod {wanted:o} {store / name}"


def test_a_key_of_another_authority_is_refused(store: Path, passphrase: str) -> None:
    (store / "mesh" / "ca.key").write_bytes((store / "docker" / "ca.key").read_bytes())

    with pytest.raises(MismatchedKeyError, match="lab mesh g1 do not belong together"):
        Authorities.load(store).unlock(passphrase)


def test_swapped_certificates_are_refused(store: Path) -> None:
    (store / "mesh" / "ca.crt").write_bytes((store / "docker" / "ca.crt").read_bytes())

    with pytest.raises(UnreadableFileError, match=r"ca\.crt is not the certificate of a mesh authority"):
        Authorities.load(store)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_certificate_is_refused(store: Path, content: bytes) -> None:
    (store / "docker" / "ca.crt").write_bytes(content)

    with pytest.raises(UnreadableFileError, match="is not a certificate"):
        Authorities.load(store)


def test_a_key_in_clear_is_refused(
    store: Path, passphrase: str, spec: Callable[..., CertificateSpec]
) -> None:
    clear, _ = Authorities.load(store).unlock(passphrase).issue(spec(), 90)
    (store / "docker" / "ca.key").write_bytes(clear)

    with pytest.raises(UnreadableFileError, match="not an encrypted private key"):
        Authorities.load(store).unlock(passphrase)


def test_an_expired_authority_does_not_sign(
    store: Path, passphrase: str, now: datetime, spec: Callable[..., CertificateSpec]
) -> None:
    later = Authorities.load(store, clock=lambda: now + timedelta(days=3653)).unlock(passphrase)

    with pytest.raises(PkiError, match="lab mesh g1 expired on 2036"):
        later.issue(spec(), 90)

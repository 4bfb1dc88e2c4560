"""A rotation on disk: killed at any write, the store is whole and the same command goes on."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect
from dagfleet.pki import authorities as authorities_module
from dagfleet.pki import rotation as rotation_module
from dagfleet.pki.errors import IncompleteStoreError, UnreadableFileError
from dagfleet.pki.revocation import listed_keys
from dagfleet.pki.rotation import DROP_OLD, STEPS, TRUST_BOTH, Rotation, read_rotation

Spec = Callable[..., CertificateSpec]


class KilledError(BaseException):
    """The process is gone; nothing after it runs."""


def rotate(store: Path, passphrase: str) -> Iterator[Authorities]:
    """Go through a rotation as the phase does, and stop after each step for a look."""
    opened = Authorities.load(store).unlock(passphrase)
    rotation: Rotation | None = opened.begin_rotation("mesh", passphrase, years=10, who="ops@laptop")
    while rotation:
        opened.enter("mesh", rotation)
        yield opened
        rotation = rotation.with_hosts("alpha")
        opened.enter("mesh", rotation)
        rotation = rotation.following()
    opened.finish_rotation("mesh")


def trusted_certificates(store: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((store / "mesh/ca.crt").read_bytes())


def test_each_step_trusts_and_signs_as_its_table_says(store: Path, passphrase: str, spec: Spec) -> None:
    seen = []
    for opened in rotate(store, passphrase):
        rotation = opened.rotation("mesh")
        assert rotation
        signed = inspect(opened.issue(spec(), 90)[1])
        seen.append((rotation.step, [str(each.name) for each in opened.trusted("mesh")], signed.issuer))
    both = ["lab mesh g1", "lab mesh g2"]
    assert seen == [
        ("trust both", both, "lab mesh g1"),
        ("new servers", both, "lab mesh g2"),
        ("new clients", both, "lab mesh g2"),
        ("drop old", ["lab mesh g2"], "lab mesh g2"),
    ]
    assert sorted(path.name for path in (store / "mesh").iterdir()) == [
        "ca.crl", "ca.crt", "ca.key", "issued.jsonl",
    ]  # fmt: skip
    after = Authorities.load(store).unlock(passphrase)
    assert inspect(after.issue(spec(), 90)[1]).issuer == "lab mesh g2"
    assert after.certificate("docker") == Authorities.load(store).certificate("docker")


def test_every_trusted_generation_has_a_revocation_list_at_every_step(store: Path, passphrase: str) -> None:
    for opened in rotate(store, passphrase):
        assert listed_keys((store / "mesh/ca.crl").read_bytes()) == opened.key_identifiers("mesh")


def test_entering_a_step_again_changes_no_file(store: Path, passphrase: str) -> None:
    for opened in rotate(store, passphrase):
        before = {path.name: path.read_bytes() for path in (store / "mesh").iterdir()}
        rotation = opened.rotation("mesh")
        assert rotation
        opened.enter("mesh", rotation)
        assert {path.name: path.read_bytes() for path in (store / "mesh").iterdir()} == before


def test_killed_before_any_write_the_store_is_whole_and_the_rotation_goes_on(
    store: Path, passphrase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Spec
) -> None:
    """Every write of a whole rotation is once the one that never happened."""
    finished = 0
    for number in range(100):
        folder = tmp_path / f"killed-{number}"
        shutil.copytree(store, folder)
        with monkeypatch.context() as patched:
            killed = _kill_at(patched, number)
            try:
                for _ in rotate(folder, passphrase):
                    pass
                finished = number
            except KilledError:
                assert killed
        opened = Authorities.load(folder).unlock(passphrase)
        leaf = inspect(opened.issue(spec(), 90)[1])
        assert leaf.issuer_key_identifier in opened.key_identifiers("mesh"), f"killed at write {number}"
        assert listed_keys((folder / "mesh/ca.crl").read_bytes()) >= opened.key_identifiers("mesh")
        if opened.rotation("mesh") or str(opened.signer("mesh").name) == "lab mesh g1":
            for _ in rotate(folder, passphrase):
                pass
        assert [str(each.name) for each in Authorities.load(folder).trusted("mesh")] == ["lab mesh g2"]
        Authorities.load(folder).unlock(passphrase)
        if finished:
            break
    assert finished > 15


def _kill_at(patched: pytest.MonkeyPatch, number: int) -> list[str]:
    """Let the process die before its write `number`; return which one that was, once it has happened."""
    left, killed = [number], []

    def dying(call: Callable[..., object]) -> Callable[..., object]:
        def instead(path: Path, *arguments: object, **options: object) -> object:
            if left[0] == 0:
                killed.append(path.name)
                raise KilledError
            left[0] -= 1
            return call(path, *arguments, **options)

        return instead

    for module in (authorities_module, rotation_module):
        patched.setattr(module, "write_atomically", dying(module.write_atomically))
    patched.setattr(Path, "unlink", dying(Path.unlink))
    return killed


def test_the_journal_names_step_hosts_and_who_began(store: Path, passphrase: str) -> None:
    steps = rotate(store, passphrase)
    next(steps)
    first = read_rotation(store / "mesh")
    assert first
    assert (first.step, first.hosts, first.who) == (TRUST_BOTH, (), "ops@laptop")
    next(steps)
    assert str(read_rotation(store / "mesh")) == (
        "the rotation of the mesh authority is at step 2 of 4, new servers"
    )


def test_the_steps_follow_each_other_to_an_end() -> None:
    rotation: Rotation | None = Rotation(authority="mesh", old=1, new=2, since="", who="")
    steps = []
    while rotation:
        steps.append(rotation.step)
        rotation = rotation.with_hosts("alpha", "beta").following()
        assert rotation is None or rotation.hosts == ()
    assert tuple(steps) == STEPS
    assert steps[-1] == DROP_OLD


@pytest.mark.parametrize("text", ["", "{}", '{"authority": "mesh"', '{"step": "five", "hosts": []}'])
def test_a_damaged_journal_is_refused_by_its_name(store: Path, text: str) -> None:
    (store / "mesh/rotation.json").write_text(text)
    with pytest.raises(UnreadableFileError, match=r"rotation\.json is not the journal of a rotation"):
        Authorities.load(store)


@pytest.mark.parametrize("lost", ["next.key", "next.crt"])
def test_a_journal_without_its_new_generation_is_refused_by_the_files_name(
    store: Path, passphrase: str, lost: str
) -> None:
    next(rotate(store, passphrase))
    (store / "mesh" / lost).unlink()
    with pytest.raises(IncompleteStoreError, match=f"it lacks mesh/{lost}"):
        Authorities.load(store)

"""`dagfleet backup`, its SSH replaced by a shell on this machine (the real way: tests/e2e/test_backup.py)."""

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dagfleet.cli.main import run
from dagfleet.control import backups

from tests.component.backup.conftest import Host
from tests.unit.phases.conftest import FLEET

Told = tuple[int, str, str]
Say = Callable[..., Told]


@pytest.fixture
def say(
    source: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Say:
    """Run a command line; its exit code, what it says and its errors."""
    (tmp_path / "fleet.yml").write_text(FLEET)
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PGPASSFILE", source.environment["PGPASSFILE"])
    monkeypatch.delenv("DAGFLEET_FILE", raising=False)
    monkeypatch.setattr(backups, "PROGRAM", str(source.folder))

    def said(*arguments: str, host: Host = source) -> Told:
        monkeypatch.setattr(backups, "_RUN", f'exec {shlex.join(host.command())} "$@"')
        code = run(["-f", str(tmp_path / "fleet.yml"), "backup", *arguments])
        return code, *capfd.readouterr()

    return said


def test_a_backup_is_made_listed_copied_and_tried_out(say: Say, source: Host, tmp_path: Path) -> None:
    code, said, errors = say("create", "--to", str(tmp_path / "kept"))
    assert (code, errors) == (0, "")
    assert "7 runs" in said
    assert "It is not encrypted" in said
    (name,) = [each["name"] for each in source.well("list")]
    copied = tmp_path / "kept" / name
    assert copied.read_bytes() == (source.directory / name).read_bytes()
    assert copied.stat().st_mode & 0o777 == 0o600

    code, said, _ = say("list")
    assert code == 0
    assert said.splitlines()[1].startswith(name)
    assert said.endswith("1 backup in /var/backups/dagfleet on alpha; none is made by itself.\n")
    assert [each["name"] for each in json.loads(say("list", "--json")[1])] == [name]

    code, said, _ = say("verify")
    assert code == 0
    assert f"{name} is good: " in said
    code, _, errors = say("copy", name, str(tmp_path / "kept"))
    assert code == 1
    assert "is there already" in errors


def test_an_encrypted_one_needs_the_key_and_a_locked_key_is_told_from_a_wrong_one(
    say: Say, source: Host, tmp_path: Path, identity: tuple[str, str]
) -> None:
    host = replace(source, recipient=identity[1])
    assert "not encrypted" not in say("create", host=host)[1]
    code, _, errors = say("verify", host=host)
    assert code == 3
    assert "Name the file with its recipient's secret key: --identity FILE" in errors
    key = tmp_path / "key"
    key.write_text("-----BEGIN AGE ENCRYPTED FILE-----\n")
    code, _, errors = say("verify", "--identity", str(key), host=host)
    assert code == 3
    assert "holds no secret key of age's" in errors
    key.write_text(identity[0])
    assert say("verify", "--identity", str(key), host=host)[0] == 0
    code, _, errors = say("verify", "--identity", str(tmp_path / "gone"), host=host)
    assert code == 3
    assert "cannot be read" in errors


def test_a_copy_that_is_cut_off_leaves_nothing(say: Say, source: Host, tmp_path: Path) -> None:
    name = source.well("create")["name"]
    ssh = tmp_path / "bin/ssh"
    ssh.write_text("#!/bin/sh\nhead -c 1000 /dev/zero\necho lost >&2\nexit 255\n")
    code, _, errors = say("copy", name, str(tmp_path / "kept"))
    assert code == 5
    assert "cannot be entered over SSH: lost" in errors
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_the_program_says_is_said_with_its_next_step(say: Say, source: Host) -> None:
    code, _, errors = say("create", host=replace(source, databases=("gone",)))
    assert code == 1
    assert errors.startswith("alpha: PostgreSQL, database gone: ")
    code, _, errors = say("copy", "prod-20200101T000000Z.tar")
    assert code == 1
    assert "See which there are: dagfleet backup list" in errors


def test_a_host_that_was_never_applied_is_told_from_one_without_backups(say: Say, tmp_path: Path) -> None:
    assert say("verify")[0] == 1
    (tmp_path / "bin/ssh").write_text("#!/bin/sh\nexit 69\n")
    code, _, errors = say("list")
    assert code == 1
    assert "alpha cannot make backups yet" in errors


def test_a_database_of_somebody_elses_is_for_them_to_back_up(say: Say, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yml"
    fleet.write_text(FLEET + "postgres: {mode: external, url: secret://ca}\n")
    for arguments in (("create",), ("list",), ("verify",), ("restore", "x", "-y")):
        code, _, errors = say(*arguments)
        assert code == 3
        assert (
            "prod uses an external PostgreSQL (postgres.mode).\nWhoever runs that server backs it up"
            in errors
        )


def test_a_restore_that_nobody_can_be_asked_about_is_refused(say: Say) -> None:
    code, _, errors = say("restore", "prod-20200101T000000Z.tar")
    assert code == 3
    assert "nobody is here to be asked" in errors
    assert "Nothing was touched." in errors

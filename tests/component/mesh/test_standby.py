"""Hosts follow the database by themselves, a deposed control host finds out, a standby fetches backups."""

import hashlib
import json
import os
import pwd
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.component.mesh.conftest import ADDRESSES, ROOT, Mesh, wait_until
from tests.component.mesh.databases import plain, serving, who_answers

FENCE = ROOT / "roles/postgres/files/lib/fence"
BACKUP = ROOT / "roles/backup/files/lib/backup"
OLD, NEW = "prod-20261121T031500Z.tar", "prod-20261122T031500Z.tar"
RELEASES = '{"number": 1}\n'


def fence(mesh: Mesh, mark: Path, identity: Path) -> int:
    """Ask as a control host whose standby is gamma; 1 is: it has taken over."""
    command = [
        *("/usr/bin/python3", "-IB", str(FENCE), "ask", "gamma", ADDRESSES["gamma"], str(mesh.ports["mesh"])),
        *("--pki", str(identity), "--mark", str(mark)),
    ]
    return subprocess.run(command, check=False, timeout=30).returncode


def test_connections_wait_for_an_open_database_and_go_there_without_anybody_telling_the_host(
    mesh: Mesh,
) -> None:
    with serving(mesh.ports["postgres"], "alpha's"):
        wait_until(lambda: who_answers(plain(mesh, patience=5)) == "alpha's", "the control host's database")
    # Beta takes a while to know that it does not answer any more.
    wait_until(lambda: who_answers(plain(mesh, patience=5)) == "silence", "nobody's database", seconds=90)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(lambda: who_answers(plain(mesh, patience=120))) for _ in range(3)]
        done, _ = wait(asked, timeout=5)
        assert not done, "nobody is told that there is no database"
        with serving(mesh.ports["standby"], "gamma's"):
            assert [each.result() for each in asked] == ["gamma's"] * 3


def test_a_control_host_asks_its_standby_and_never_opens_again_once_that_has_taken_over(
    mesh: Mesh, tmp_path: Path
) -> None:
    identity, mark = mesh.directory / "pki" / "alpha", tmp_path / "deposed"
    assert fence(mesh, mark, identity) == 0, "the standby's door is shut"
    assert not mark.exists()
    with serving(mesh.ports["standby"], "gamma's"):
        assert fence(mesh, mark, identity) == 1
    assert mark.exists()
    assert fence(mesh, mark, identity) == 1, "although nobody answers any more"


def test_a_control_host_that_works_ends_by_itself_once_its_standby_has_taken_over(
    mesh: Mesh, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    for program in ("systemctl", "docker"):
        stand_in = tmp_path / program
        stand_in.write_text(f'#!/bin/sh\necho {program} "$@" >>{done}\n')
        stand_in.chmod(0o755)
    command = [
        *(
            "/usr/bin/python3",
            "-IB",
            str(FENCE),
            "watch",
            "gamma",
            ADDRESSES["gamma"],
            str(mesh.ports["mesh"]),
        ),
        *(
            "--pki",
            str(mesh.directory / "pki" / "alpha"),
            "--mark",
            str(tmp_path / "deposed"),
            "--every",
            "0.2",
        ),
    ]
    watching = subprocess.Popen(command, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            watching.wait(timeout=5)
        with serving(mesh.ports["standby"], "gamma's"):
            assert watching.wait(timeout=60) == 0
    finally:
        watching.kill()
        watching.wait()
    ended = done.read_text()
    assert "systemctl stop --no-block pgbouncer.service" in ended
    assert "docker stop --time 5 dagfleet-daemon dagfleet-web dagfleet-admin" in ended
    assert (tmp_path / "deposed").exists()


def test_a_control_host_whose_certificate_is_refused_is_none(mesh: Mesh, tmp_path: Path) -> None:
    assert fence(mesh, tmp_path / "deposed", mesh.directory / "pki" / "deposed") == 1


def test_a_standby_that_is_silent_takes_nothing_over(mesh: Mesh, tmp_path: Path) -> None:
    command = [
        *("/usr/bin/python3", "-IB", str(FENCE), "ask", "gamma", "127.0.1.9", str(mesh.ports["mesh"])),
        *("--pki", str(mesh.directory / "pki" / "alpha"), "--mark", str(tmp_path / "deposed")),
    ]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0


def settings(folder: Path, source: dict[str, object] | None, *, keep: int = 7) -> Path:
    """Write what role backup writes on a host; no database is asked here."""
    (folder / "backups").mkdir(parents=True, exist_ok=True)
    account = pwd.getpwuid(os.getuid()).pw_name
    file = folder / "backup.json"
    file.write_text(json.dumps({
        "fleet": "prod", "directory": str(folder / "backups"), "keep": keep, "recipient": "", "databases": {},
        "host": "", "port": 0, "user": "", "account": account, "configuration": [],
        "releases": str(folder / "releases"), "versions": {}, "source": source,
    }))  # fmt: skip
    return file


def program(file: Path, *arguments: str) -> list[str]:
    return ["/usr/bin/python3", "-IB", str(BACKUP), "--settings", str(file), *arguments]


@pytest.fixture
def control(mesh: Mesh, tmp_path: Path) -> Iterator[Path]:
    """Alpha's folder, whose backups are served as by systemd: a process for each connection."""
    folder = tmp_path / "alpha"
    file = settings(folder, None)
    (folder / "releases").write_text(RELEASES)
    (folder / "backups" / OLD).write_bytes(os.urandom(3_000_000))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            subprocess.run(program(file, "serve"), stdin=self.request, stdout=self.request, check=False)

    with _listening(mesh, Handler):
        yield folder


def follow(
    mesh: Mesh, folder: Path, *, identity: str = "gamma", keep: int = 7
) -> "subprocess.CompletedProcess[str]":
    source = {"host": "alpha", "address": ADDRESSES["alpha"], "port": mesh.ports["mesh"]}
    command = program(
        settings(folder, source, keep=keep), "follow", "--pki", str(mesh.directory / "pki" / identity),
        "--note", str(folder / "standby.json"),
    )  # fmt: skip
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def hashes(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (folder / "backups").glob("*.tar")
    }


def test_the_standby_fetches_backups_and_history_once_and_says_how_old_they_are(
    mesh: Mesh, control: Path, tmp_path: Path
) -> None:
    standby = tmp_path / "gamma"
    first = follow(mesh, standby)
    assert first.returncode == 0, first.stderr
    assert hashes(standby) == hashes(control)
    assert (standby / "releases").read_text() == RELEASES
    note = json.loads((standby / "standby.json").read_text())
    assert note["newest"]["name"] == OLD
    assert note["newest"]["at"] == "2026-11-21T03:15:00+00:00"
    before = (standby / "backups" / OLD).stat().st_ino
    (control / "backups" / NEW).write_bytes(b"shorter")
    assert follow(mesh, standby).returncode == 0
    assert hashes(standby) == hashes(control)
    assert (standby / "backups" / OLD).stat().st_ino == before, "what is there is not fetched again"
    assert json.loads((standby / "standby.json").read_text())["newest"]["name"] == NEW
    assert follow(mesh, standby, keep=1).returncode == 0
    assert list(hashes(standby)) == [NEW]


def test_another_host_gets_none_and_an_older_copy_stays(mesh: Mesh, control: Path, tmp_path: Path) -> None:
    assert control
    refused = follow(mesh, tmp_path / "beta", identity="beta")
    assert refused.returncode == 1
    told, fix = refused.stderr.splitlines()
    assert "does not hand over its backups" in told
    assert "dagfleet doctor" in fix
    assert not hashes(tmp_path / "beta")


def test_a_copy_that_is_cut_off_is_no_backup(mesh: Mesh, tmp_path: Path) -> None:
    catalogue = {"backups": [{"name": OLD, "at": "", "bytes": 100, "encrypted": False}], "releases": ""}

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = self.rfile.readline()
            self.wfile.write(
                json.dumps(catalogue).encode() + b"\n" if asked == b"catalogue\n" else b"half of it"
            )

    with _listening(mesh, Handler):
        cut = follow(mesh, tmp_path / "gamma")
    assert "only 10 of 100 bytes" in cut.stderr
    assert not list((tmp_path / "gamma" / "backups").glob("*.tar"))


@contextmanager
def _listening(mesh: Mesh, handler: type[socketserver.BaseRequestHandler]) -> Iterator[None]:
    path = mesh.directory / "backups.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
    path.unlink()

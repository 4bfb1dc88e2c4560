"""Killed, or out of disk, at any moment."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.component.backup.conftest import OTHER, Host

Moment = Callable[[], object]


def killed(host: Host, *arguments: str, at: Moment, number: int = signal.SIGKILL) -> int:
    """Run it until that moment has come, or it has ended; its exit code."""
    process = subprocess.Popen(
        host.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=host.environment, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not at():
        time.sleep(0.002)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def there(host: Host, pattern: str) -> Moment:
    """A moment: an unfinished file is there."""
    return lambda: list(host.directory.glob(f".unfinished-*{pattern}"))


def database(host: Host, begins: str, count: int = 1) -> Moment:
    """A moment: so many databases have names that begin so."""
    return lambda: len([name for name in host.known_databases() if name.startswith(begins)]) >= count


def children(host: Host) -> list[str]:
    """Programs that still work for this host."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(host.directory) in command and "pg_" in command:
            found.append(command)
    return found


def test_a_backup_that_is_killed_leaves_whole_ones_only_and_the_next_tidies_up(source: Host) -> None:
    host = replace(source, keep=50)
    moments = [
        there(host, ""),
        there(host, "/dagster.dump"),
        there(host, "/warehouse.dump"),
        there(host, "/*.tar"),
    ]
    ended = [killed(host, "create", at=moment) for moment in moments]
    assert ended[0] == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while children(host):
        assert time.monotonic() < deadline, children(host)
        time.sleep(0.05)
    host.well("create")
    assert not list(host.directory.glob(".unfinished-*"))
    # Every one that has a name is whole.
    rows = {host.well("verify", each["name"])["rows"] for each in host.well("list")}
    assert len(rows) == 1


def test_a_backup_that_is_terminated_tidies_up_itself(source: Host) -> None:
    ended = killed(source, "create", at=there(source, "/dagster.dump"), number=signal.SIGTERM)
    assert ended == 128 + signal.SIGTERM
    assert not list(source.directory.glob(".unfinished-*"))
    assert source.well("list") == []


def test_a_restore_that_is_killed_leaves_the_old_databases_or_the_new_and_works_again(
    source: Host, empty: Host
) -> None:
    made = source.well("create")["name"]
    source.send_to(empty, made)
    wanted = source.rows()
    empty.ask("CREATE TABLE mine AS SELECT 1 AS x", OTHER)
    old = empty.rows()
    moments = [
        there(empty, ""),
        database(empty, "dagfleet_scratch_"),
        database(empty, "dagfleet_scratch_", 2),
        database(empty, "dagfleet_replaced_"),
    ]
    seen = []
    for moment in moments:
        killed(empty, "restore", made, "--force", at=moment)
        now = empty.rows()
        assert now in (old, wanted)
        seen.append("new" if now == wanted else "old")
    assert seen[0] == "old"
    empty.well("restore", made, "--force")
    assert empty.rows() == wanted


@pytest.fixture
def small_disk(source: Host) -> Iterator[Host]:
    """The host with its backups on a disk of two megabytes."""
    source.ask(
        "CREATE TABLE bulk AS SELECT sha512(n::text::bytea) AS x FROM generate_series(1, 40000) n", OTHER
    )
    options = f"size=2m,mode=0700,uid={source.directory.stat().st_uid}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", source.directory],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert mounted.returncode == 0, mounted.stderr
    try:
        yield source
    finally:
        subprocess.run(["umount", source.directory], check=True)
        source.ask("DROP TABLE bulk", OTHER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_the_backups_that_there_were(small_disk: Host, identity: tuple[str, str]) -> None:
    old = small_disk.directory / "prod-20200101T031500Z.tar"
    old.write_text("old")
    for recipient in ("", identity[1]):
        told = replace(small_disk, keep=1, recipient=recipient).refused("create")
        assert "No space left on device" in told or "disk is full" in told
        assert "make room" in told
        assert {path.name for path in small_disk.directory.iterdir()} == {".lock", old.name}
    assert "disk is full" in small_disk.refused("receive", "prod-20300101T031500Z.tar", stdin=bytes(4 << 20))
    assert {path.name for path in small_disk.directory.iterdir()} == {".lock", old.name}

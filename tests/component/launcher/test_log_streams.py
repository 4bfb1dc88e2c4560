"""What is written is read again: whole, once, in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster_multihost_launcher import PostgresComputeLogManager
from dagster_multihost_launcher.log_table import Batch, LogTable, OutOfStep

from tests.component.database import Database
from tests.component.launcher.logs import ERR, KEY, ask, files, read, write


def test_a_cursor_gets_each_byte_once(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("a")
    for text in ("first ", "second ", "third"):
        write(manager, text)
    pieces, cursor = [], None
    while (data := manager.get_log_data(KEY, cursor, max_bytes=4)).stderr:
        pieces.append(data.stderr)
        cursor = data.cursor
    assert b"".join(pieces) == b"first second third"
    assert {len(piece) for piece in pieces[:-1]} == {4}
    assert manager.get_log_data(KEY, cursor).cursor == cursor == "0:18"
    assert manager.get_log_data_for_type(KEY, ERR, 6, None) == (b"second third", 18)
    assert manager.get_log_data_for_type(KEY, ComputeIOType.STDOUT, 0, None) == (None, 0)


def test_a_log_that_is_too_long_ends_with_its_end(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("a", max_log_bytes=4000)
    write(manager, "".join(f"line {number:05}\n" for number in range(100_000)) + "the cause\n")
    stored = read(manager)
    assert stored is not None
    assert len(stored) < 4200
    assert stored.startswith(b"line 00000\n")
    assert b"bytes are not stored; max_log_bytes is 4,000]" in stored
    assert stored.endswith(b"line 99999\nthe cause\n")


def test_many_megabytes_arrive_whole(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager, text = on_host("a", max_log_bytes=0), "0123456789abcde\n" * (20 * 65536)
    write(manager, text)
    assert read(manager) == text.encode()


def test_an_unused_stream_leaves_no_trace(
    database: Database, on_host: Callable[..., PostgresComputeLogManager], tmp_path: Path
) -> None:
    write(on_host("a"), "")
    assert files(tmp_path / "a") == []
    assert ask(database, "SELECT count(*) FROM pg_tables WHERE tablename = 'compute_log_batches'") == 0


def test_an_upload_whose_answer_was_lost_counts_once(database: Database) -> None:
    table, batch = LogTable(database.url), Batch(stream="err", start=0, end=4, data=b"once")
    table.append(KEY, "writer", [batch])
    with pytest.raises(OutOfStep):
        table.append(KEY, "writer", [batch])
    assert table.writer_ends(KEY, "writer") == {"err": 4}
    assert table.read(KEY, {"err": 0}) == {"err": (b"once", 4)}


def test_writers_that_find_no_table_at_once_all_write(database: Database) -> None:
    def first_batch(name: str, together: Barrier) -> None:
        table = LogTable(database.url)
        together.wait()
        table.append(KEY, name, [Batch(stream="err", start=0, end=1, data=name.encode())])

    with ThreadPoolExecutor() as pool:
        for _ in range(30):
            ask(database, "DROP TABLE IF EXISTS compute_log_batches")
            list(pool.map(first_batch, "abcd", [Barrier(4)] * 4))
            data, _ = LogTable(database.url).read(KEY, {"err": 0})["err"]
            assert data is not None
            assert sorted(data) == sorted(b"abcd")


def test_two_attempts_that_write_at_once_lose_nothing(database: Database) -> None:
    def attempt(name: str) -> None:
        table = LogTable(database.url)
        for number in range(40):
            data = f"{name}{number} ".encode()
            table.append(KEY, name, [Batch(stream="err", start=number, end=number + 1, data=data)])

    with ThreadPoolExecutor() as pool:
        list(pool.map(attempt, "abcd"))
    data, end = LogTable(database.url).read(KEY, {"err": 0})["err"]
    assert data is not None
    assert len(data) == end
    words = data.decode().split()
    for name in "abcd":
        assert [word for word in words if word[0] == name] == [f"{name}{number}" for number in range(40)]

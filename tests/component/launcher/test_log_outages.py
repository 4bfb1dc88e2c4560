"""A database that is away and a process that dies lose no line and hold up no step."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster_multihost_launcher import PostgresComputeLogManager
from dagster_multihost_launcher.log_table import LogTable

from tests.component.database import Cluster, Database
from tests.component.launcher.logs import ERR, KEY, files, read, wait_for, write

_KILLED = """
import os, signal, sys, time
from dagster_multihost_launcher.compute_logs import PostgresComputeLogManager
from dagster_multihost_launcher.log_table import LogTable
from dagster._core.storage.compute_log_manager import ComputeIOType

manager = PostgresComputeLogManager(LogTable(sys.argv[1]), local_dir=sys.argv[2], upload_interval=None)
with manager.open_log_stream(["run", "compute_logs", "killed"], ComputeIOType.STDERR) as stream:
    stream.write("last words")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def test_a_database_that_is_away_fails_nothing_and_the_next_upload_catches_up(
    cluster: Cluster, on_host: Callable[..., PostgresComputeLogManager], tmp_path: Path
) -> None:
    manager, started = on_host("a"), time.monotonic()
    with away(cluster):
        write(manager, "while it was away\n")
        assert time.monotonic() - started < 8
        assert files(tmp_path / "a")
    wait_for(lambda: read(manager), 15)
    assert read(manager) == b"while it was away\n"
    wait_for(lambda: not files(tmp_path / "a"))


def test_a_database_that_comes_back_during_a_step_gets_each_line_once(
    cluster: Cluster, on_host: Callable[..., PostgresComputeLogManager]
) -> None:
    manager = on_host("a")
    with manager.open_log_stream(KEY, ERR) as stream:
        assert stream is not None
        for line in range(8):
            stream.write(f"{line}\n")
            stream.flush()
            if line == 3:
                with away(cluster):
                    time.sleep(1.5)
            time.sleep(0.3)
    wait_for(lambda: manager.is_capture_complete(KEY))
    assert read(manager) == b"0\n1\n2\n3\n4\n5\n6\n7\n"


def test_a_database_that_answers_nothing_delays_a_step_by_seconds_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://dagster@127.0.0.1:{silent.getsockname()[1]}/dagster"
        manager = PostgresComputeLogManager(LogTable(url), local_dir=str(tmp_path))
        started = time.monotonic()
        write(manager, "unheard\n")
        assert time.monotonic() - started < 12
    assert [path.read_text() for path in files(tmp_path) if path.suffix == ".err"] == ["unheard\n"]


def test_logs_of_a_killed_process_are_uploaded_by_the_next_capture(
    database: Database, on_host: Callable[..., PostgresComputeLogManager], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, database.url, tmp_path / "a"], timeout=60, check=False
    )
    assert done.returncode == -9
    manager = on_host("a")
    write(manager, "next\n")
    assert read(manager, ["run", "compute_logs", "killed"]) == b"last words"
    assert manager.is_capture_complete(["run", "compute_logs", "killed"])
    assert files(tmp_path / "a") == []


def test_a_capture_that_goes_on_is_not_taken_for_one_that_died(
    on_host: Callable[..., PostgresComputeLogManager],
) -> None:
    one, other = on_host("a", upload_interval=0), on_host("a")
    with one.open_log_stream(KEY, ERR) as stream:
        assert stream is not None
        stream.write("one\n")
        stream.flush()
        write(other, "other\n", ["run", "compute_logs", "other"])
        assert read(one) is None
        stream.write("two\n")
    assert read(one) == b"one\ntwo\n"

"""Compute logs through a real PostgreSQL: written on one host, read on another."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import uvicorn
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.compute_log_manager import CapturedLogData, ComputeIOType
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._serdes import ConfigurableClassData
from dagster_multihost_launcher import PostgresComputeLogManager
from dagster_multihost_launcher.log_table import Batch, LogTable, OutOfStep
from dagster_webserver.app import create_app_from_workspace_process_context
from sqlalchemy.exc import ProgrammingError

from tests.component.database import Cluster, Database
from tests.unit.launcher.runs import instance_from

KEY = ["run", "compute_logs", "step"]
ERR = ComputeIOType.STDERR
_TALK = """
import sys, time
from pathlib import Path
from dagster import Definitions, job, op

@op(config_schema={"go": str})
def talk(context):
    print("one", flush=True)
    print("bad", file=sys.stderr, flush=True)
    while not Path(context.op_config["go"]).exists():
        time.sleep(0.05)
    print("two", flush=True)

@job
def talking():
    talk()

defs = Definitions(jobs=[talking])
"""
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


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make an empty database, whose password libpq finds in a file, as on a fleet."""
    database = cluster.create_database()
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:*:{database.password}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    return database


@pytest.fixture
def on_host(database: Database, tmp_path: Path) -> Iterator[Callable[..., PostgresComputeLogManager]]:
    """Make the manager as one host has it, with that host's own disk."""
    managers = []

    def make(host: str, **config: Any) -> PostgresComputeLogManager:
        values = {"postgres_url": database.url, "local_dir": str(tmp_path / host), "upload_interval": 1}
        manager = ConfigurableClassData(
            "dagster_multihost_launcher", "PostgresComputeLogManager", yaml.safe_dump({**values, **config})
        ).rehydrate(as_type=PostgresComputeLogManager)
        managers.append(manager)
        return manager

    yield make
    for manager in managers:
        manager.dispose()


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def write(manager: PostgresComputeLogManager, text: str, log_key: list[str] = KEY) -> None:
    with manager.open_log_stream(log_key, ERR) as stream:
        assert stream is not None
        stream.write(text)


def read(manager: PostgresComputeLogManager, log_key: list[str] = KEY) -> bytes | None:
    return manager.get_log_data(log_key).stderr


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise TimeoutError("it did not happen")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def ask(database: Database, sql: str) -> Any:
    connection = psycopg2.connect(database.url)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchone()[0] if cursor.description else None
    connection.close()
    return found


def instance_config(database: Database, local_dir: Path) -> dict[str, Any]:
    config = {"postgres_url": database.url, "local_dir": str(local_dir), "upload_interval": 1}
    return {
        "compute_logs": {
            "module": "dagster_multihost_launcher",
            "class": "PostgresComputeLogManager",
            "config": config,
        }
    }


@contextmanager
def talking(instance: DagsterInstance, folder: Path) -> Iterator[Path]:
    """Execute the job that prints, and waits for the yielded file before its last line."""
    definitions, go = folder / "definitions.py", folder / "go"
    definitions.write_text(_TALK)
    (folder / "run.yaml").write_text(yaml.safe_dump({"ops": {"talk": {"config": {"go": str(go)}}}}))
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", "job", "execute", "-f", definitions, "-c", folder / "run.yaml"],
        env={**os.environ, "DAGSTER_HOME": instance.root_directory},
    )
    try:
        yield go
        go.touch()
        assert process.wait(60) == 0
    finally:
        go.touch()
        process.wait(60)


@contextmanager
def web_server(context: WorkspaceProcessContext) -> Iterator[str]:
    app = create_app_from_workspace_process_context(context)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def test_the_web_ui_shows_a_running_step_of_another_host_and_then_all_of_it(
    database: Database, on_host: Callable[..., PostgresComputeLogManager], tmp_path: Path
) -> None:
    web = on_host("web")
    with instance_from(tmp_path / "home", instance_config(database, tmp_path / "worker")) as instance:
        with talking(instance, tmp_path) as go:
            (run,) = wait_for(instance.get_runs, 60)
            below = [run.run_id, "compute_logs"]
            (log_key,) = wait_for(
                lambda: web.get_log_keys_for_log_key_prefix(below, ComputeIOType.STDOUT), 60
            )
            first = web.get_log_data(log_key)
            assert first.stdout == b"one\n"
            assert not web.is_capture_complete(log_key)
            seen: list[CapturedLogData] = []
            watch = web.subscribe(log_key, first.cursor)(seen.append)
            go.touch()
            wait_for(lambda: watch.is_complete)
        (run,) = instance.get_runs()
        assert run.status == DagsterRunStatus.SUCCESS
    assert b"".join(update.stdout or b"" for update in seen) == b"two\n"
    whole = web.get_log_data(log_key)
    assert whole.stdout == b"one\ntwo\n"
    assert b"bad\n" in (whole.stderr or b"")
    assert b"talking" in (whole.stderr or b"")  # Dagster's own lines
    assert files(tmp_path / "worker") == []


def test_the_web_server_serves_logs_and_downloads_of_another_host(
    database: Database, on_host: Callable[..., PostgresComputeLogManager], tmp_path: Path
) -> None:
    write(on_host("worker"), "from afar\n")
    with (
        instance_from(tmp_path / "home", instance_config(database, tmp_path / "web")) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
        web_server(context) as web,
    ):
        query = "query ($key: [String!]!) { capturedLogs(logKey: $key) { stderr cursor } }"
        answer = requests.post(
            f"{web}/graphql", json={"query": query, "variables": {"key": KEY}}, timeout=30
        ).json()
        assert answer["data"]["capturedLogs"] == {"stderr": "from afar\n", "cursor": "0:10"}
        url = instance.compute_log_manager.get_log_metadata(KEY).stderr_download_url
        assert url is not None
        url = web + url
        assert requests.get(url, timeout=30).text == "from afar\n"
        write(on_host("worker"), "and more\n")
        assert requests.get(url, timeout=30).text == "from afar\nand more\n"
        assert requests.get(url.replace("step", "other"), timeout=30).status_code == 404


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


def test_an_upload_whose_answer_was_lost_counts_once(database: Database) -> None:
    table, batch = LogTable(database.url), Batch(stream="err", start=0, end=4, data=b"once")
    table.append(KEY, "writer", [batch])
    with pytest.raises(OutOfStep):
        table.append(KEY, "writer", [batch])
    assert table.writer_ends(KEY, "writer") == {"err": 4}
    assert table.read(KEY, {"err": 0}) == {"err": (b"once", 4)}


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


def test_logs_are_deleted_by_key_and_by_prefix(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("a")
    for run in ("1", "10"):
        for step in ("x", "y"):
            write(manager, step, [run, "compute_logs", step])
    manager.delete_logs(log_key=["10", "compute_logs", "x"])
    assert manager.get_log_keys_for_log_key_prefix(["10", "compute_logs"], ERR) == [
        ["10", "compute_logs", "y"]
    ]
    manager.delete_logs(prefix=["1"])
    assert manager.get_log_keys_for_log_key_prefix(["1", "compute_logs"], ERR) == []
    assert read(manager, ["10", "compute_logs", "y"]) == b"y"


def test_old_logs_expire_once_an_hour(
    database: Database, on_host: Callable[..., PostgresComputeLogManager]
) -> None:
    manager = on_host("a", retention_days=30)
    aged = "UPDATE compute_log_batches SET stored_at = now() - interval '%s'"
    write(manager, "old\n")
    ask(database, aged % "31 days")
    write(manager, "young\n", ["run", "compute_logs", "young"])
    assert read(manager) is None
    write(manager, "old\n")
    ask(database, aged % "31 days" + " WHERE stream <> 'expiry'")
    write(manager, "young\n", ["run", "compute_logs", "younger"])
    assert read(manager) == b"old\n"


def test_a_missing_table_is_not_created_against_the_operators_will(
    on_host: Callable[..., PostgresComputeLogManager], caplog: pytest.LogCaptureFixture
) -> None:
    manager = on_host("a", should_autocreate_tables=False)
    write(manager, "kept here\n")
    assert 'relation "compute_log_batches" does not exist' in caplog.text
    with pytest.raises(ProgrammingError):
        read(manager)


def test_backfills_read_their_log_by_lines(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("daemon")
    write(manager, "a\nb\n", ["backfill", "id", "1"])
    write(manager, "c\n", ["backfill", "id", "2"])
    lines, cursor = on_host("web").read_log_lines_for_log_key_prefix(["backfill", "id"], None, ERR)
    assert [line for line in lines if line] == ["a", "b", "c"]
    assert cursor is not None
    assert not cursor.has_more_now

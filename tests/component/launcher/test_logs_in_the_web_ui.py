"""Compute logs through a real PostgreSQL: written on one host, shown by the web server of another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import uvicorn
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.compute_log_manager import CapturedLogData, ComputeIOType
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_multihost_launcher import PostgresComputeLogManager
from dagster_webserver.app import create_app_from_workspace_process_context

from tests.component.database import Database
from tests.component.launcher.logs import ERR, KEY, files, wait_for, write
from tests.unit.launcher.runs import instance_from

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


def test_backfills_read_their_log_by_lines(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("daemon")
    write(manager, "a\nb\n", ["backfill", "id", "1"])
    write(manager, "c\n", ["backfill", "id", "2"])
    lines, cursor = on_host("web").read_log_lines_for_log_key_prefix(["backfill", "id"], None, ERR)
    assert [line for line in lines if line] == ["a", "b", "c"]
    assert cursor is not None
    assert not cursor.has_more_now

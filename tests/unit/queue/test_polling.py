"""The whole loop where nobody notifies: SQLite, as MySQL, is polled through Dagster's own API."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon
from dagster import DagsterRunStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget

from tests.unit.launcher.runs import create_run, instance_from, reloaded

CONFIG = {
    "run_coordinator": {
        "module": "clt_queued_run_coordinator.coordinator",
        "class": "CLTQueuedRunCoordinator",
        "config": {
            "max_concurrent_runs": -1,
            "tag_concurrency_limits": [{"key": "code_location", "value": "etl", "limit": 1}],
        },
    },
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
}


@contextmanager
def running(context: WorkspaceProcessContext) -> Iterator[None]:
    stop = threading.Event()
    daemon = FleetQueueDaemon(interval_seconds=1)

    def loop() -> None:
        for _ in daemon.core_loop(context, stop):
            pass

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def eventually(condition: Callable[[], Any], *, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)


def test_a_queue_on_sqlite_keeps_its_limits_and_goes_on_when_a_run_ends(tmp_path: Path) -> None:
    with instance_from(tmp_path, CONFIG) as instance:
        etl = [
            create_run(instance, status=DagsterRunStatus.QUEUED, tags={"code_location": "etl"})
            for _ in range(2)
        ]
        other = create_run(
            instance, location="ml", status=DagsterRunStatus.QUEUED, tags={"code_location": "ml"}
        )
        launcher: Any = instance.run_launcher

        def launched() -> list[str]:
            return [run.run_id for run in launcher.queue()]

        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context, running(context):
            eventually(lambda: sorted(launched()) == sorted([etl[0].run_id, other.run_id]))
            assert reloaded(instance, etl[1]).status is DagsterRunStatus.QUEUED
            instance.report_run_failed(reloaded(instance, etl[0]))
            eventually(lambda: etl[1].run_id in launched())
        assert len(launched()) == 3

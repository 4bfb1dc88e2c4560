"""A host that swallows packets for long: no run on other hosts is lost, and none that is queued for it.

DAGFLEET_DARK_SECONDS says how long: 600 is a real outage, the default fits a test suite.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from tests.docker.faults.conftest import SOCKET
from tests.docker.launcher.tiny_image import ensure
from tests.docker.launcher.wire import Wire, counting
from tests.unit.launcher.runs import create_run, reloaded

DARK_SECONDS = float(os.environ.get("DAGFLEET_DARK_SECONDS", "6"))
HOSTS = ("alpha", "beta", "gamma", "delta")  # delta goes dark
LOGGER = logging.getLogger(__name__)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with counting(SOCKET, tmp_path / "delta.sock") as wire:
        yield wire


@pytest.fixture
def instance(load: Callable[..., DagsterInstance], tmp_path: Path, wire: Wire) -> DagsterInstance:
    del wire
    sockets = dict.fromkeys(HOSTS, SOCKET) | {"delta": tmp_path / "delta.sock"}
    hosts = [
        {"host_name": name, "docker_url": f"unix://{sockets[name]}", "location_names": [f"of-{name}"]}
        for name in HOSTS
    ]
    monitoring = {"enabled": True, "start_timeout_seconds": 0, "max_resume_run_attempts": 0}
    return load(
        {"run_monitoring": monitoring}, docker_hosts=hosts, read_timeout=2, host_lost_after_seconds=3600
    )


def enqueued(instance: DagsterInstance, process: Any, host: str, image: str) -> DagsterRun:
    run = create_run(
        instance, location=f"of-{host}", status=DagsterRunStatus.NOT_STARTED, image=image, job_name=host
    )
    instance.run_coordinator.submit_run(SubmitRunContext(run, process.create_request_context()))
    return run


def statuses(instance: DagsterInstance, runs: list[DagsterRun]) -> Counter[tuple[str, str]]:
    return Counter((run.job_name, reloaded(instance, run).status.value) for run in runs)


def test_a_dark_host_costs_no_run_on_other_hosts_and_none_that_is_queued_for_it(
    instance: DagsterInstance, wire: Wire, docker: Any
) -> None:
    image = ensure(docker)
    with (
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as process,
        QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon,
    ):

        def dequeue_and_monitor() -> None:
            list(daemon.run_iteration(process))
            list(execute_run_monitoring_iteration(process, LOGGER))

        early = [enqueued(instance, process, host, image) for host in HOSTS]
        dequeue_and_monitor()
        for run in early:  # their workers say that they have started
            event = DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
            instance.report_dagster_event(event, run_id=run.run_id)

        wire.silent_on = ("GET", "POST", "DELETE")
        late = [enqueued(instance, process, host, image) for host in HOSTS]
        dark_until = time.monotonic() + DARK_SECONDS
        while time.monotonic() < dark_until:
            dequeue_and_monitor()
            time.sleep(0.5)
        assert statuses(instance, early) == Counter((host, "STARTED") for host in HOSTS)
        assert statuses(instance, late) == Counter(
            (host, "QUEUED" if host == "delta" else "STARTING") for host in HOSTS
        )

        wire.silent_on = ()
        deadline = time.monotonic() + 120
        while reloaded(instance, late[-1]).status != DagsterRunStatus.STARTING:
            assert time.monotonic() < deadline
            dequeue_and_monitor()
            time.sleep(0.5)
        assert statuses(instance, early) == Counter((host, "STARTED") for host in HOSTS)
        assert statuses(instance, late) == Counter((host, "STARTING") for host in HOSTS)
        for run in (*early, *late):
            result = instance.run_launcher.check_run_worker_health(reloaded(instance, run))
            assert result.status.value == "RUNNING"

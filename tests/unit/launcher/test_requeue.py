"""What Dagster's own queue daemon makes of a launch that cannot happen now, and of one that never can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from tests.unit.launcher.runs import create_run, instance_from, launcher_config, messages, reloaded

UNREACHABLE = {
    "host_name": "beta",
    "docker_url": "tcp://127.0.0.1:1",
    "insecure": True,
    "location_names": ["etl"],
}
RETRYING = {
    "run_coordinator": {
        "module": "clt_queued_run_coordinator.coordinator",
        "class": "CLTQueuedRunCoordinator",
        "config": {"max_user_code_failure_retries": 3},
    }
}


def dequeued_once(instance: DagsterInstance, **run: Any) -> DagsterRun:
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
        queued = create_run(instance, status=DagsterRunStatus.NOT_STARTED, **run)
        instance.run_coordinator.submit_run(SubmitRunContext(queued, context.create_request_context()))
        with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
            list(daemon.run_iteration(context))
    return reloaded(instance, queued)


def test_a_run_for_an_unreachable_host_goes_back_to_the_queue_with_the_reason(tmp_path: Path) -> None:
    config = {**launcher_config(docker_hosts=[UNREACHABLE]), **RETRYING}
    with instance_from(tmp_path, config) as instance:
        run = dequeued_once(instance, image="etl:1")
        assert run.status == DagsterRunStatus.QUEUED
        reasons = [
            entry.dagster_event.engine_event_data.error.message
            for entry in instance.all_logs(run.run_id)
            if entry.dagster_event
            and entry.dagster_event.is_engine_event
            and entry.dagster_event.engine_event_data.error
        ]
        assert any("Docker host beta is unreachable" in reason for reason in reasons)


def test_a_run_that_nothing_can_start_fails_at_once(tmp_path: Path) -> None:
    config = {**launcher_config(docker_hosts=[UNREACHABLE]), **RETRYING}
    with instance_from(tmp_path, config) as instance:
        run = dequeued_once(instance, image=None)  # nothing names an image
        assert run.status == DagsterRunStatus.FAILURE
        assert "unrecoverable error" in messages(instance, run)

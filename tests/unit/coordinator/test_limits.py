"""Limits on the trusted location, kept by Dagster's own queue daemon."""

from __future__ import annotations

from collections import Counter

from dagster import DagsterRunStatus, RunsFilter
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from tests.unit.coordinator.conftest import Load
from tests.unit.launcher.runs import create_run

ETL_TWO = [{"key": "code_location", "value": "etl", "limit": 2}]


def submit(context: WorkspaceProcessContext, location: str, claim: str | None = None) -> None:
    tags = {"code_location": claim} if claim else {}
    run = create_run(context.instance, location=location, tags=tags, status=DagsterRunStatus.NOT_STARTED)
    context.instance.run_coordinator.submit_run(SubmitRunContext(run, context.create_request_context()))


def launched_by_one_pass(context: WorkspaceProcessContext) -> Counter[str]:
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        list(daemon.run_iteration(context))
    runs = context.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
    return Counter(run.remote_job_origin.location_name for run in runs if run.remote_job_origin)


def test_a_location_gets_no_more_runs_than_its_limit_and_others_are_free(deployment: Load) -> None:
    context = deployment(tag_concurrency_limits=ETL_TWO, max_concurrent_runs=10)
    for location in ("etl", "etl", "etl", "reporting"):
        submit(context, location)
    assert launched_by_one_pass(context) == {"etl": 2, "reporting": 1}


def test_a_run_cannot_escape_its_locations_limit_by_claiming_another(deployment: Load) -> None:
    context = deployment(tag_concurrency_limits=ETL_TWO, max_concurrent_runs=10)
    for _ in range(3):
        submit(context, "etl", claim="reporting")
    assert launched_by_one_pass(context) == {"etl": 2}


def test_a_run_cannot_use_up_another_locations_limit_by_claiming_it(deployment: Load) -> None:
    context = deployment(tag_concurrency_limits=ETL_TWO, max_concurrent_runs=10)
    for location in ("reporting", "reporting", "etl"):
        submit(context, location, claim="etl")
    assert launched_by_one_pass(context) == {"etl": 1, "reporting": 2}


def test_a_limit_for_each_location_holds_for_all_of_them(deployment: Load) -> None:
    each = [{"key": "code_location", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}]
    context = deployment(tag_concurrency_limits=each, max_concurrent_runs=10)
    for location in ("etl", "etl", "reporting", "reporting"):
        submit(context, location)
    assert launched_by_one_pass(context) == {"etl": 1, "reporting": 1}


def test_the_limit_for_the_whole_instance_holds(deployment: Load) -> None:
    context = deployment(max_concurrent_runs=2)
    for _ in range(3):
        submit(context, "etl")
    assert launched_by_one_pass(context) == {"etl": 2}

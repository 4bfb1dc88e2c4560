"""Dagster's own run monitoring against a run whose image is being pulled."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._daemon.monitoring.run_monitoring import monitor_starting_run
from dagster_multihost_launcher.pull_report import PullReport

from tests.unit.launcher.runs import create_run, instance_from, launcher_config, messages, reloaded

ALLOWED = 600
MONITORED = {"run_monitoring": {"enabled": True, "start_timeout_seconds": ALLOWED}}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with instance_from(tmp_path, {**launcher_config(), **MONITORED}) as instance:
        yield instance


def starting_for(instance: DagsterInstance, seconds: float) -> DagsterRun:
    run = create_run(instance)
    event = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_STARTING.value, job_name=run.job_name)
    instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - seconds)
    return reloaded(instance, run)


def after_monitoring(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    monitor_starting_run(instance, record, logging.getLogger("test"))
    return reloaded(instance, run).status


def test_a_run_that_does_not_start_in_time_fails(instance: DagsterInstance) -> None:
    run = starting_for(instance, ALLOWED + 1)
    assert after_monitoring(instance, run) == DagsterRunStatus.FAILURE


def test_a_run_whose_image_is_being_pulled_is_given_its_time_again(instance: DagsterInstance) -> None:
    run = starting_for(instance, ALLOWED + 1)
    clock = iter((0.0, ALLOWED / 2))
    PullReport(instance, run, lambda: next(clock))("Pulling etl:1 on beta: 1.0 of 2.0 MB")
    assert after_monitoring(instance, run) == DagsterRunStatus.STARTING


def test_time_counts_anew_from_the_end_of_a_long_pull(instance: DagsterInstance) -> None:
    run = starting_for(instance, ALLOWED + 1)
    clock = iter((0.0, 1.0, ALLOWED / 2))
    report = PullReport(instance, run, lambda: next(clock))
    report("Pulling etl:1 on beta: asking the registry")
    report.done()
    assert after_monitoring(instance, run) == DagsterRunStatus.STARTING


def test_a_run_canceled_during_the_pull_stays_canceled(instance: DagsterInstance) -> None:
    run = starting_for(instance, 0)
    clock = iter((0.0, ALLOWED / 2))
    report = PullReport(instance, run, lambda: next(clock))
    instance.report_run_canceling(run)
    report("Pulling etl:1 on beta: 1.0 of 2.0 MB")
    assert reloaded(instance, run).status == DagsterRunStatus.CANCELING


def test_without_a_start_time_out_no_starting_event_is_added(tmp_path: Path) -> None:
    without = {"run_monitoring": {"enabled": True, "start_timeout_seconds": 0}}
    with instance_from(tmp_path, {**launcher_config(), **without}) as instance:
        run = starting_for(instance, 0)
        clock = iter((0.0, 1000.0))
        PullReport(instance, run, lambda: next(clock))("Pulling etl:1 on beta")
        events = instance.all_logs(run.run_id, of_type=DagsterEventType.PIPELINE_STARTING)
        assert len(events) == 1


def test_progress_is_said_at_once_and_then_every_ten_seconds(instance: DagsterInstance) -> None:
    run = starting_for(instance, 0)
    seconds = iter(range(22))
    report = PullReport(instance, run, lambda: float(next(seconds)))
    for second in range(1, 22):
        report(f"at {second} s")
    said = [line for line in messages(instance, run).splitlines() if line.startswith("at ")]
    assert said == ["at 1 s", "at 11 s", "at 21 s"]


def test_an_image_that_was_there_is_not_spoken_of(instance: DagsterInstance) -> None:
    run = starting_for(instance, 0)
    before = messages(instance, run)
    PullReport(instance, run).done()
    assert messages(instance, run) == before

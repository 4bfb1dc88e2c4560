"""What becomes of a launch that a killed daemon left half done, at each step at which it can be cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster_multihost_launcher import adoption
from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.worker import container_name
from docker import APIClient

from tests.docker.launcher.conftest import PREFIX
from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, messages, reloaded

Load = Callable[..., DagsterInstance]


@pytest.fixture(autouse=True)
def a_daemon_that_has_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "process_began", time.time)


def adopted(instance: DagsterInstance, run: DagsterRun) -> DagsterRun:
    """Have the daemon look at what the one before it left."""
    launcher: Any = instance.run_launcher
    assert launcher.adoption.left_behind(instance) == [run.run_id]
    launcher.adoption.adopt(instance, run.run_id)
    return reloaded(instance, run)


def made_by_hand(docker: APIClient, image: str, run: DagsterRun) -> str:
    """Create the container as the killed daemon did: without having written the tags yet."""
    labels = {f"{PREFIX}/run_id": run.run_id, f"{PREFIX}/managed": "true"}
    name = container_name(run.run_id, 1)
    return str(docker.create_container(image, command="dagster", name=name, labels=labels)["Id"])


def containers(docker: APIClient, run: DagsterRun) -> list[tuple[str, str]]:
    listed = docker.containers(all=True, filters={"label": f"{PREFIX}/run_id={run.run_id}"})
    return [(each["Id"], each["State"]) for each in listed]


def test_a_launch_that_made_no_container_yet_is_begun_again(fleet: Load, docker: APIClient) -> None:
    run = create_run(fleet())
    after = adopted(fleet(), run)
    ((container_id, state),) = containers(docker, run)
    assert state == "running"
    assert after.tags["multihost_docker/container_id"] == container_id
    assert "was being launched; the launch goes on" in messages(fleet(), run)


def test_a_container_that_was_only_created_is_replaced_and_started(
    fleet: Load, docker: APIClient, image: str
) -> None:
    run = create_run(fleet())
    made_by_hand(docker, image, run)
    adopted(fleet(), run)
    ((_, state),) = containers(docker, run)
    assert state == "running"


def test_a_container_that_runs_already_is_taken_over(fleet: Load, docker: APIClient, image: str) -> None:
    run = create_run(fleet())
    container_id = made_by_hand(docker, image, run)
    docker.start(container_id)
    after = adopted(fleet(), run)
    assert containers(docker, run) == [(container_id, "running")]
    assert after.tags["multihost_docker/container_id"] == container_id


def test_a_worker_that_has_ended_is_not_started_a_second_time(
    fleet: Load, docker: APIClient, image: str
) -> None:
    run = create_run(fleet())
    container_id = made_by_hand(docker, image, run)
    docker.start(container_id)
    docker.kill(container_id)
    adopted(fleet(), run)
    assert containers(docker, run) == [(container_id, "exited")]


def test_a_launch_of_this_very_daemon_is_left_alone(fleet: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    instance = fleet()
    create_run(instance)
    assert instance.run_launcher.adoption.left_behind(instance) == []  # type: ignore[attr-defined]


def test_without_a_queue_nothing_is_adopted_because_another_process_may_be_launching(
    fleet: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(fleet())
    instance = fleet()
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    monkeypatch.setattr(instance, "_run_coordinator", DefaultRunCoordinator())
    assert instance.run_launcher.adoption.left_behind(instance) == []  # type: ignore[attr-defined]


def test_a_launch_that_cannot_be_repeated_fails_with_the_reason(fleet: Load) -> None:
    run = create_run(fleet(), tags={"multihost/host": "delta"})
    instance = fleet()
    assert adopted(instance, run).status == DagsterRunStatus.FAILURE
    assert "multihost/host is delta, but etl runs on beta" in messages(instance, run)


def test_a_launch_for_which_there_is_no_room_now_goes_back_to_the_queue(fleet: Load) -> None:
    run = create_run(fleet())
    instance = fleet(host={"max_runs": 0})
    assert adopted(instance, run).status == DagsterRunStatus.QUEUED
    assert "beta is drained (max_runs 0)" in messages(instance, run)


def test_a_run_of_a_host_that_does_not_answer_is_adopted_when_it_does(fleet: Load, wire: Wire) -> None:
    run = create_run(fleet())
    instance = fleet()
    wire.cut_on = ("GET",)
    with pytest.raises(HostUnreachable):
        adopted(instance, run)
    assert reloaded(instance, run).status == DagsterRunStatus.STARTING
    instance.run_launcher.adoption.begin(instance)  # type: ignore[attr-defined]
    wire.cut_on = ()
    deadline = time.monotonic() + 60
    while "multihost_docker/container_id" not in reloaded(instance, run).tags:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_launch_after_an_adoption_makes_no_second_container(fleet: Load, docker: APIClient) -> None:
    run = create_run(fleet())
    instance = fleet()
    adopted(instance, run)
    instance.run_launcher.launch_run(launching(reloaded(instance, run)))
    assert len(containers(docker, run)) == 1

"""What happens to containers after their run, and to runs that nobody else brings forward."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher.base import ResumeRunContext, WorkerStatus
from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.worker import container_name
from docker import APIClient
from docker.errors import NotFound

from tests.docker.launcher.conftest import PREFIX
from tests.docker.launcher.test_verdicts import started
from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, messages, reloaded

Load = Callable[..., DagsterInstance]
EAGER = {"watch_seconds": 1, "sweep_seconds": 1, "keep_successful_hours": 0.0, "keep_failed_hours": 0.0}


def look(instance: DagsterInstance) -> None:
    instance.run_launcher.reaper.look(sweep=True, wait_seconds=20)


def soon(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


def state(docker: APIClient, run: DagsterRun, attempt: int = 1) -> str | None:
    try:
        return str(docker.inspect_container(container_name(run.run_id, attempt))["State"]["Status"])
    except NotFound:
        return None


def report_success(instance: DagsterInstance, run: DagsterRun) -> None:
    event = DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
    instance.report_dagster_event(event, run_id=run.run_id)


def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sweeps believe that it is later than it is."""
    now = time.time
    later = SimpleNamespace(time=lambda: now() + 60, monotonic=time.monotonic)
    monkeypatch.setattr("dagster_multihost_launcher.sweep.time", later)


def test_containers_of_finished_runs_go_at_their_own_ages(fleet: Load, docker: APIClient) -> None:
    instance = fleet(reaper={"keep_successful_hours": 0.0, "keep_failed_hours": 1.0})
    failed, successful, unfinished = (started(instance) for _ in range(3))
    for run in (failed, successful, unfinished):
        docker.kill(container_name(run.run_id, 1))
    instance.report_run_failed(failed)
    report_success(instance, successful)
    look(instance)
    assert state(docker, successful) is None
    assert state(docker, failed) == "exited"
    assert state(docker, unfinished) == "exited"
    assert reloaded(instance, unfinished).status == DagsterRunStatus.STARTED  # run monitoring judges it


def test_a_container_that_never_started_is_removed_when_its_run_is_finished(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet()
    run = create_run(instance)
    labels = {f"{PREFIX}/run_id": run.run_id, f"{PREFIX}/managed": "true"}
    docker.create_container(image, command="dagster", name=container_name(run.run_id, 1), labels=labels)
    look(instance)
    assert state(docker, run) == "created"
    instance.report_run_failed(run)
    look(instance)
    assert state(docker, run) is None


def test_a_running_container_of_a_finished_run_is_asked_to_end(
    fleet: Load, docker: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = fleet()
    run = started(instance)
    instance.report_run_failed(run)
    look(instance)
    assert state(docker, run) == "running"  # its interpreter may be ending
    a_minute_later(monkeypatch)
    look(instance)
    assert soon(lambda: state(docker, run) == "exited")
    assert b"told to end" in docker.logs(container_name(run.run_id, 1))


def test_a_container_of_a_finished_run_that_ignores_sigterm_is_killed_after_its_grace(
    fleet: Load, docker: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = fleet(host={"env_vars": ["BEHAVE=stubborn"]}, stop_timeout=1)
    run = started(instance)
    instance.report_run_failed(run)
    a_minute_later(monkeypatch)
    look(instance)
    assert state(docker, run) == "running"

    def ended_by_a_look() -> bool:
        look(instance)
        return state(docker, run) == "exited"

    assert soon(ended_by_a_look)
    assert docker.inspect_container(container_name(run.run_id, 1))["State"]["ExitCode"] == 137


def test_a_container_of_a_run_that_this_instance_does_not_know_is_left_alone(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet(reaper=EAGER)
    labels = {f"{PREFIX}/run_id": "another-deployments", f"{PREFIX}/managed": "true"}
    other = docker.create_container(image, command="dagster", labels=labels)["Id"]
    look(instance)
    assert docker.inspect_container(other)["State"]["Status"] == "created"


def test_a_host_that_swallows_packets_holds_up_nobody_elses_clean_up(
    fleet: Load, docker: APIClient, wire: Wire, tmp_path: Path
) -> None:
    gamma = {
        "host_name": "gamma",
        "docker_url": "unix:///var/run/docker.sock",
        "location_names": ["other"],
    }
    beta = {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    instance = fleet(docker_hosts=[beta, gamma], reaper=EAGER, read_timeout=600)
    run = started(instance)
    docker.kill(container_name(run.run_id, 1))
    instance.report_run_failed(run)
    wire.silent_on = ("GET", "POST", "DELETE")
    instance.run_launcher.reaper.start()
    assert soon(lambda: state(docker, run) is None)  # gamma is the same dockerd by another way


def test_a_starting_run_whose_worker_died_fails_within_seconds_with_its_last_lines(
    fleet: Load,
) -> None:
    instance = fleet(host={"env_vars": ["BEHAVE=exit", "CODE=3"]}, reaper=EAGER)
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    assert soon(lambda: reloaded(instance, run).status == DagsterRunStatus.FAILURE, 15)
    said = messages(instance, run)
    assert (
        "The run's worker died before the run started. Its container on beta is exited: exit code 3" in said
    )
    assert "\n59\n60" in said


def test_a_starting_run_whose_container_was_removed_fails(fleet: Load, docker: APIClient) -> None:
    instance = fleet(reaper={"enabled": False})
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    docker.remove_container(container_name(run.run_id, 1), force=True)

    def failed_by_a_look() -> bool:
        look(instance)
        return bool(reloaded(instance, run).status == DagsterRunStatus.FAILURE)

    assert soon(failed_by_a_look)
    assert "Its container is gone" in messages(instance, run)


def test_a_starting_run_whose_worker_lives_stays_starting(fleet: Load) -> None:
    instance = fleet(reaper=EAGER)
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    look(instance)
    look(instance)
    assert reloaded(instance, run).status == DagsterRunStatus.STARTING


def test_a_cancellation_that_a_dead_process_began_is_finished_by_the_next_daemon_on_reconnect(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    first = fleet(read_timeout=2)
    run = started(first)
    wire.cut_on = ("GET",)
    assert first.run_launcher.terminate(run.run_id)
    assert reloaded(first, run).status == DagsterRunStatus.CANCELING
    first.run_launcher.dispose()  # and no thread of it tries again
    second = fleet(reaper=EAGER)
    second.run_launcher.reaper.start()
    assert not soon(lambda: reloaded(second, run).status != DagsterRunStatus.CANCELING, 3)
    wire.cut_on = ()
    assert soon(lambda: reloaded(second, run).status == DagsterRunStatus.CANCELED)
    assert state(docker, run) == "exited"
    assert b"told to end" in docker.logs(container_name(run.run_id, 1))


def test_a_host_that_stays_away_too_long_fails_its_runs_and_says_since_when(fleet: Load, wire: Wire) -> None:
    instance = fleet(host_lost_after_seconds=2, reaper=EAGER)
    run = started(instance)
    wire.cut_on = ("GET", "POST")
    with pytest.raises(HostUnreachable):
        instance.run_launcher.check_run_worker_health(run)
    seen: list[str] = []

    def lost() -> bool:
        try:
            result = instance.run_launcher.check_run_worker_health(run)
        except HostUnreachable:
            return False
        assert result.status == WorkerStatus.FAILED
        seen.append(str(result.msg))
        return True

    assert soon(lost)
    assert "Docker host beta is unreachable" in seen[0]
    assert "It has not answered since 20" in seen[0]
    assert "after host_lost_after_seconds (2)" in seen[0]


def test_a_host_that_answers_in_time_loses_no_run(fleet: Load, wire: Wire) -> None:
    instance = fleet(host_lost_after_seconds=3600)
    run = started(instance)
    wire.cut_on = ("GET",)
    with pytest.raises(HostUnreachable):
        instance.run_launcher.check_run_worker_health(run)
    wire.cut_on = ()

    def healthy() -> bool:
        try:
            return bool(instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING)
        except HostUnreachable:
            return False

    assert soon(healthy)


def test_a_run_of_a_lost_host_is_resumed_on_another_and_its_old_container_is_killed_on_reconnect(
    fleet: Load, docker: APIClient, wire: Wire, tmp_path: Path
) -> None:
    beta = {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    gamma = {**beta, "host_name": "gamma", "docker_url": "unix:///var/run/docker.sock"}
    instance = fleet(
        docker_hosts=[beta, gamma],
        host_lost_after_seconds=1,
        read_timeout=2,
        reaper={"enabled": False, **EAGER},
    )
    run = started(instance)
    assert run.tags["multihost_docker/host_name"] == "beta"
    wire.cut_on = ("GET", "POST", "DELETE")

    def lost() -> bool:
        try:
            return bool(instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.FAILED)
        except HostUnreachable:
            return False

    assert soon(lost)
    context = ResumeRunContext(dagster_run=run, workspace=None, resume_attempt_number=1)
    instance.run_launcher.resume_run(context)
    assert reloaded(instance, run).tags["multihost_docker/host_name"] == "gamma"
    assert (state(docker, run, 1), state(docker, run, 2)) == ("running", "running")  # beta cannot be asked
    wire.cut_on = ()

    def replaced_is_gone() -> bool:
        look(instance)
        return state(docker, run, 1) is None

    assert soon(replaced_is_gone)
    assert state(docker, run, 2) == "running"


def test_a_run_of_a_host_that_is_only_away_for_a_while_is_not_resumed_elsewhere(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    instance = fleet(read_timeout=2)
    run = started(instance)
    wire.cut_on = ("GET", "DELETE")
    context = ResumeRunContext(dagster_run=run, workspace=None, resume_attempt_number=1)
    with pytest.raises(HostUnreachable):
        instance.run_launcher.resume_run(context)
    assert (state(docker, run, 1), state(docker, run, 2)) == ("running", None)


def test_the_thread_ends_with_its_instance(fleet: Load) -> None:
    instance = fleet(reaper=EAGER)
    instance.run_launcher.launch_run(launching(create_run(instance)))
    (thread,) = [
        each for each in threading.enumerate() if each.name == "multihost-reaper" and each.is_alive()
    ]
    instance.run_launcher.dispose()
    thread.join(30)
    assert not thread.is_alive()

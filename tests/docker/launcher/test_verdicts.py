from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher.base import ResumeRunContext, WorkerStatus
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError
from dagster_multihost_launcher.worker import container_name
from docker import APIClient
from docker.errors import NotFound

from tests.docker.launcher.conftest import PREFIX
from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, messages, reloaded

Load = Callable[..., DagsterInstance]


def started(instance: DagsterInstance, run: DagsterRun | None = None) -> DagsterRun:
    """Launch a run and have it say that it started, as its worker would."""
    run = run or create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    instance.report_dagster_event(
        DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name), run_id=run.run_id
    )
    return reloaded(instance, run)


def ended(docker: APIClient, run: DagsterRun) -> None:
    docker.wait(container_name(run.run_id, 1), timeout=10)


def canceled_within(instance: DagsterInstance, run: DagsterRun, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reloaded(instance, run).status == DagsterRunStatus.CANCELED:
            return True
        time.sleep(0.05)
    return False


def test_a_running_container_is_a_healthy_worker(fleet: Load) -> None:
    instance = fleet()
    run = started(instance)
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


@pytest.mark.parametrize("code", ["0", "3"])
def test_an_exit_of_an_unfinished_run_is_a_failure_whatever_its_code(
    fleet: Load, docker: APIClient, code: str
) -> None:
    instance = fleet(host={"env_vars": ["BEHAVE=exit", f"CODE={code}"]})
    run = started(instance)
    ended(docker, run)
    result = instance.run_launcher.check_run_worker_health(run)
    assert result.status == WorkerStatus.FAILED
    assert result.msg is not None
    assert f"on beta is exited: exit code {code}." in result.msg
    assert result.msg.endswith("\n59\n60")
    assert "Its last 50 lines:\n11\n12" in result.msg


def test_a_killed_container_is_a_failure_that_names_the_signal(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = started(instance)
    docker.kill(container_name(run.run_id, 1))
    result = instance.run_launcher.check_run_worker_health(run)
    assert result.status == WorkerStatus.FAILED
    assert "exit code 137, killed by SIGKILL" in str(result.msg)


def test_a_removed_container_is_a_failure(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = started(instance)
    docker.remove_container(container_name(run.run_id, 1), force=True)
    result = instance.run_launcher.check_run_worker_health(run)
    assert result.status == WorkerStatus.FAILED
    assert "container is gone" in str(result.msg)


def test_an_unreachable_host_gives_no_verdict_so_that_dagster_leaves_the_run_alone(
    fleet: Load, wire: Wire
) -> None:
    instance = fleet(read_timeout=2)
    run = started(instance)
    wire.silent_on = ("GET",)
    with pytest.raises(HostUnreachable, match="Docker host beta is unreachable"):
        instance.run_launcher.check_run_worker_health(run)


def test_a_worker_is_found_by_its_name_when_its_tags_are_lost(fleet: Load) -> None:
    instance = fleet()
    run = started(instance)
    without_tags = run.with_tags({})
    assert instance.run_launcher.check_run_worker_health(without_tags).status == WorkerStatus.RUNNING


def test_tags_inherited_from_a_re_executed_run_are_not_taken_for_its_own(fleet: Load) -> None:
    instance = fleet()
    parent = started(instance)
    child = create_run(instance, tags=dict(parent.tags), status=DagsterRunStatus.STARTED)
    with pytest.raises(LaunchError, match="no container of this launcher"):
        instance.run_launcher.check_run_worker_health(child)


def test_terminate_ends_the_container_and_the_run_is_canceled(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = started(instance)
    began = time.monotonic()
    assert instance.run_launcher.terminate(run.run_id)
    assert time.monotonic() - began < 2
    assert canceled_within(instance, run, 3)
    state = docker.inspect_container(container_name(run.run_id, 1))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    assert b"told to end" in docker.logs(container_name(run.run_id, 1))


def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace_and_the_caller_does_not_wait(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet(host={"env_vars": ["BEHAVE=stubborn"]}, stop_timeout=2)
    run = started(instance)
    began = time.monotonic()
    assert instance.run_launcher.terminate(run.run_id)
    assert time.monotonic() - began < 2
    assert reloaded(instance, run).status == DagsterRunStatus.CANCELING
    assert canceled_within(instance, run, 5)
    assert docker.inspect_container(container_name(run.run_id, 1))["State"]["ExitCode"] == 137


def test_terminating_a_run_whose_container_was_killed_cancels_it(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = started(instance)
    docker.kill(container_name(run.run_id, 1))
    assert instance.run_launcher.terminate(run.run_id)
    assert canceled_within(instance, run, 1)
    assert "had ended already" in messages(instance, run)


def test_terminating_a_run_whose_container_is_gone_cancels_it(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = started(instance)
    docker.remove_container(container_name(run.run_id, 1), force=True)
    assert instance.run_launcher.terminate(run.run_id)
    assert canceled_within(instance, run, 1)


def test_terminating_on_an_unreachable_host_is_finished_when_it_answers_again(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    instance = fleet(read_timeout=2)
    run = started(instance)
    wire.silent_on = ("GET",)
    assert instance.run_launcher.terminate(run.run_id)
    time.sleep(1)
    assert reloaded(instance, run).status == DagsterRunStatus.CANCELING
    wire.silent_on = ()
    assert canceled_within(instance, run, 6)
    assert not docker.inspect_container(container_name(run.run_id, 1))["State"]["Running"]


def test_a_container_that_a_launch_is_about_to_start_is_removed_by_a_termination(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet()
    run = create_run(instance)
    labels = {f"{PREFIX}/run_id": run.run_id, f"{PREFIX}/managed": "true"}
    docker.create_container(image, command="dagster", name=container_name(run.run_id, 1), labels=labels)
    assert instance.run_launcher.terminate(run.run_id)
    assert canceled_within(instance, run, 20)
    with pytest.raises(NotFound):
        docker.inspect_container(container_name(run.run_id, 1))


GRACES = {"default": 7, "host": 6, "location": 5, "run": 4}


@pytest.mark.parametrize(
    "layers", [("default",), ("default", "host"), ("default", "host", "location"), GRACES]
)
def test_the_grace_is_the_runs_or_else_its_locations_its_hosts_or_the_one_for_all(
    fleet: Load, docker: APIClient, layers: Iterable[str]
) -> None:
    given = {layer: {"stop_timeout": GRACES[layer]} for layer in layers}
    instance = fleet(
        host={"container_kwargs": given.get("host", {})},
        locations={"etl": {"container_kwargs": given.get("location", {})}},
        **given["default"],
    )
    tags = {"multihost/stop_timeout": "4"} if "run" in given else {}
    run = started(instance, create_run(instance, tags=tags))
    container = docker.inspect_container(container_name(run.run_id, 1))
    assert container["Config"]["StopTimeout"] == min(GRACES[layer] for layer in layers)


def test_a_registry_that_is_away_breaks_neither_health_checks_nor_cancellation(fleet: Load) -> None:
    registry = {"url": "localhost:1", "username": "u", "password": "p"}
    instance = fleet(host={"registry": registry})
    run = started(instance)
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert instance.run_launcher.terminate(run.run_id)
    assert canceled_within(instance, run, 30)


def test_a_finished_run_is_not_terminated(fleet: Load) -> None:
    instance = fleet()
    run = create_run(instance, status=DagsterRunStatus.SUCCESS)
    assert not instance.run_launcher.terminate(run.run_id)


def test_a_resumed_run_gets_a_new_container_after_the_old_one_is_removed(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet()
    run = started(instance)
    context = ResumeRunContext(dagster_run=run, workspace=None, resume_attempt_number=1)
    instance.run_launcher.resume_run(context)
    with pytest.raises(NotFound):
        docker.inspect_container(container_name(run.run_id, 1))
    container = docker.inspect_container(container_name(run.run_id, 2))
    assert container["State"]["Running"]
    assert "resume_run" in container["Config"]["Cmd"]
    assert (
        instance.run_launcher.check_run_worker_health(reloaded(instance, run)).status == WorkerStatus.RUNNING
    )


def test_debug_information_names_host_state_image_and_the_command_to_look_further(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet(host={"env_vars": ["BEHAVE=exit", "CODE=3"]})
    run = started(instance)
    ended(docker, run)
    text = instance.run_launcher.get_run_worker_debug_info(run)
    assert text is not None
    digest = docker.inspect_image(image)["Id"]
    for part in ("on Docker host beta: exited", f"Image: {digest}", "exit code 3", "docker inspect"):
        assert part in text
    assert text.endswith("60")

"""A container per op on the run's host, with a real Dagster in each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.code_pointer import FileCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from docker import APIClient

from tests.docker.launcher import host_python
from tests.docker.launcher.conftest import PREFIX
from tests.unit.launcher.runs import launching, messages, reloaded

Load = Callable[..., DagsterInstance]
SOCKET = "/var/run/docker.sock"


def run_of_steps(instance: DagsterInstance, image: str) -> DagsterRun:
    here = Path(__file__).parent
    origin = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="etl")
    run: DagsterRun = create_run_for_test(
        instance,
        job_name="steps",
        status=DagsterRunStatus.STARTING,
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, "__repository__"), "steps"),
        job_code_origin=JobPythonOrigin(
            job_name="steps",
            repository_origin=RepositoryPythonOrigin(
                executable_path=sys.executable,
                code_pointer=FileCodePointer(str(here / "steps_job.py"), "defs", str(here)),
                container_image=image,
                entry_point=["dagster"],
            ),
        ),
    )
    return run


@pytest.fixture
def instance(fleet: Load, tmp_path: Path, request: pytest.FixtureRequest) -> DagsterInstance:
    more: dict[str, Any] = getattr(request, "param", {})
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return fleet(
        host={
            "docker_url": f"unix://{SOCKET}",
            "container_kwargs": host_python.kwargs(writable=(home,)),
            "env_vars": [*host_python.environment(), *more.get("env_vars", ())],
        },
        locations={"etl": {"docker_socket": SOCKET, **more.get("location", {})}},
        stop_timeout=20,
    )


def until(instance: DagsterInstance, run: DagsterRun, holds: Callable[[DagsterRun], bool]) -> DagsterRun:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        now = reloaded(instance, run)
        if holds(now):
            return now
        time.sleep(0.3)
    raise AssertionError(instance.run_launcher.get_run_worker_debug_info(run))


def containers(docker: APIClient, run: DagsterRun, **filters: Any) -> dict[str, dict[str, Any]]:
    found = docker.containers(all=True, filters={"label": f"{PREFIX}/run_id={run.run_id}", **filters})
    return {each["Labels"].get(f"{PREFIX}/step_key", "run"): each for each in found}


def test_each_op_runs_in_a_labelled_container_of_its_own_that_cannot_reach_docker(
    instance: DagsterInstance, docker: APIClient, image: str
) -> None:
    run = run_of_steps(instance, image)
    instance.run_launcher.launch_run(launching(run))
    assert until(instance, run, lambda now: now.is_finished).is_success
    found = containers(docker, run)
    assert found.keys() == {"run", "first", "second", "third"}
    assert f"first in {found['first']['Id'][:12]}, Docker's socket: False" in messages_with_logs(
        instance, run
    )
    worker, step = (docker.inspect_container(found[key]["Id"]) for key in ("run", "first"))
    assert step["Config"]["Labels"] == {**worker["Config"]["Labels"], f"{PREFIX}/step_key": "first"}
    assert step["HostConfig"]["NetworkMode"] == worker["HostConfig"]["NetworkMode"]
    assert {*worker["HostConfig"]["Binds"]} - {*step["HostConfig"]["Binds"]} == {f"{SOCKET}:{SOCKET}"}


@pytest.mark.parametrize("instance", [{"env_vars": ["THIRD=wait"]}], indirect=True)
def test_terminating_the_run_ends_its_steps_too(
    instance: DagsterInstance, docker: APIClient, image: str
) -> None:
    run = run_of_steps(instance, image)
    instance.run_launcher.launch_run(launching(run))
    until(instance, run, lambda _: "third" in containers(docker, run, status="running"))
    assert instance.run_launcher.terminate(run.run_id)
    assert until(instance, run, lambda now: now.is_finished).status == DagsterRunStatus.CANCELED
    instance.run_launcher.join(60)
    assert containers(docker, run, status="running") == {}


@pytest.mark.parametrize("instance", [{"location": {"docker_socket": None}}], indirect=True)
def test_without_the_socket_the_run_fails_with_the_key_to_set(instance: DagsterInstance, image: str) -> None:
    run = run_of_steps(instance, image)
    instance.run_launcher.launch_run(launching(run))
    assert until(instance, run, lambda now: now.is_finished).status == DagsterRunStatus.FAILURE
    errors = [
        entry.dagster_event.job_failure_data.error.to_string()
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event
        and entry.dagster_event.is_run_failure
        and entry.dagster_event.job_failure_data.error
    ]
    assert "set docker_socket of the run's location" in errors[0]


def messages_with_logs(instance: DagsterInstance, run: DagsterRun) -> str:
    logged = "\n".join(entry.user_message for entry in instance.all_logs(run.run_id))
    return f"{messages(instance, run)}\n{logged}"

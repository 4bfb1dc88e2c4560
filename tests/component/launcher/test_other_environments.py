"""Code servers and run containers need neither of our packages: nothing in them loads launcher or queue."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.launcher.base import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster_multihost_launcher import commands

from tests.unit.launcher.runs import instance_from, launcher_config, launching, reloaded

_DEFINITIONS = """
import time
from dagster import Definitions, in_process_executor, job, op

@op
def work(): ...

@op
def wait(): time.sleep(60)

@job(executor_def=in_process_executor)
def quick(): work()

@job(executor_def=in_process_executor)
def slow(): wait()

defs = Definitions(jobs=[quick, slow])
"""
_WITHOUT_US = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("dagster_multihost_launcher", "clt_queued_run_coordinator"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
_COORDINATOR = {
    "run_coordinator": {
        "module": "clt_queued_run_coordinator.coordinator",
        "class": "CLTQueuedRunCoordinator",
    }
}
_RESUMING = {"run_monitoring": {"enabled": True, "max_resume_run_attempts": 2}}
_MAPPED = {"host_name": "beta", "docker_url": "unix:///nowhere.sock", "location_names": ["etl"]}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    context: WorkspaceProcessContext
    definitions: Path
    environment: dict[str, str]

    @property
    def instance(self) -> DagsterInstance:
        return self.context.instance

    def run(self, job: str) -> DagsterRun:
        location = self.context.create_request_context().get_code_location("reporting")
        (repository,) = location.get_repositories().values()
        remote = repository.get_full_job(job)
        return self.instance.create_run_for_job(
            ReconstructableJob.for_file(str(self.definitions), job).get_definition(),
            status=DagsterRunStatus.STARTING,
            remote_job_origin=remote.get_remote_origin(),
            job_code_origin=remote.get_python_origin(),
        )

    def reaches(self, run: DagsterRun, status: DagsterRunStatus) -> bool:
        """Wait until the run has the status or is finished."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            now = reloaded(self.instance, run)
            if now.status == status or now.is_finished:
                return now.status == status
            time.sleep(0.05)
        return False


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Our instance, and the code server of an unmapped location whose environment lacks our packages."""
    folder = tmp_path_factory.mktemp("deployment")
    definitions = folder / "definitions.py"
    definitions.write_text(_DEFINITIONS)
    (folder / "absent").mkdir()
    (folder / "absent" / "sitecustomize.py").write_text(_WITHOUT_US)
    environment = {**os.environ, "PYTHONPATH": str(folder / "absent")}
    environment.pop("DAGSTER_HOME", None)  # a code server gets its instance with each run
    with ExitStack() as stack:
        config = {**launcher_config(docker_hosts=[_MAPPED]), **_COORDINATOR, **_RESUMING}
        instance = stack.enter_context(instance_from(folder / "home", config))
        port = stack.enter_context(_code_server(definitions, environment))
        target = GrpcServerTarget(host="127.0.0.1", port=port, socket=None, location_name="reporting")
        context = stack.enter_context(WorkspaceProcessContext(instance, target))
        yield Deployment(context=context, definitions=definitions, environment=environment)


@contextmanager
def _code_server(definitions: Path, environment: dict[str, str]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-f", str(definitions), "--location-name", "reporting"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the code server does not listen")


def test_a_code_server_without_our_packages_executes_the_runs_of_an_unmapped_location(
    deployment: Deployment,
) -> None:
    run = deployment.run("quick")
    workspace = deployment.context.create_request_context()
    deployment.instance.run_launcher.launch_run(launching(run, workspace))
    assert deployment.reaches(run, DagsterRunStatus.SUCCESS), _why(deployment.instance, run)
    assert reloaded(deployment.instance, run).tags["multihost_docker/launcher_type"] == "default"


def test_a_run_in_a_code_server_is_healthy_and_can_be_terminated(deployment: Deployment) -> None:
    run = deployment.run("slow")
    launcher = deployment.instance.run_launcher
    launcher.launch_run(launching(run, deployment.context.create_request_context()))
    assert deployment.reaches(run, DagsterRunStatus.STARTED)
    assert launcher.check_run_worker_health(reloaded(deployment.instance, run)).status == WorkerStatus.RUNNING
    assert launcher.terminate(run.run_id)
    assert deployment.reaches(run, DagsterRunStatus.CANCELED)


def test_the_command_of_a_run_container_executes_the_run_without_our_packages(deployment: Deployment) -> None:
    run = deployment.run("quick")
    command = commands.execute_run(deployment.instance, launching(run))
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *command[-3:]],
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert reloaded(deployment.instance, run).status == DagsterRunStatus.SUCCESS, _why(
        deployment.instance, run
    )


def _why(instance: DagsterInstance, run: DagsterRun) -> str:
    return "\n".join(str(entry) for entry in instance.all_logs(run.run_id))

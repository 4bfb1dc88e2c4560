"""What users feel: from the launch to a worker that says STARTED, with a real Dagster in the container."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.code_pointer import FileCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from tests.bench.launch.contender import PREFIX
from tests.docker.launcher import host_python
from tests.unit.launcher.runs import instance_from, launcher_config, launching

_GIVE_UP_SECONDS = 120


def launch_to_started(image: str, times: int) -> float:
    """Return the median of seconds between the call of the launcher and the run's start event."""
    with tempfile.TemporaryDirectory(prefix="dagfleet-bench-") as home:
        host = {
            "host_name": "local",
            "docker_url": "unix:///var/run/docker.sock",
            "location_names": ["etl"],
            "network": "host",
            "env_vars": host_python.environment(),
            "container_kwargs": host_python.kwargs(writable=(Path(home),)),
        }
        config = launcher_config(docker_hosts=[host], container_label_prefix=PREFIX)
        with instance_from(Path(home), config) as instance:
            return median(_once(instance, image) for _ in range(times))


def _once(instance: DagsterInstance, image: str) -> float:
    here = Path(__file__).parent
    origin = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="etl")
    run = create_run_for_test(
        instance,
        job_name="trivial",
        status=DagsterRunStatus.STARTING,
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, "__repository__"), "trivial"),
        job_code_origin=JobPythonOrigin(
            job_name="trivial",
            repository_origin=RepositoryPythonOrigin(
                executable_path=sys.executable,
                code_pointer=FileCodePointer(str(here / "job.py"), "defs", str(here)),
                container_image=image,
                entry_point=["dagster"],
            ),
        ),
    )
    began = time.time()
    instance.run_launcher.launch_run(launching(run))
    while time.time() - began < _GIVE_UP_SECONDS:
        record = instance.get_run_record_by_id(run.run_id)
        if record and record.dagster_run.is_finished:
            assert record.dagster_run.is_success, instance.run_launcher.get_run_worker_debug_info(run)
            assert record.start_time
            return float(record.start_time - began)
        time.sleep(0.1)
    raise TimeoutError(instance.run_launcher.get_run_worker_debug_info(run))

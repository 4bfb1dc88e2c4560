"""One instance that mixes launchers: `etl` runs on our hosts, `ml` through dagster-docker's launcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher.base import ResumeRunContext, WorkerStatus
from dagster_multihost_launcher.errors import LaunchError
from docker import APIClient

from tests.docker.launcher.conftest import PREFIX, SOCKET
from tests.unit.launcher.runs import create_run, launching, reloaded

Load = Callable[..., DagsterInstance]
ID_TAG = "docker/container_id"  # dagster-docker's own


@pytest.fixture
def mixed(fleet: Load, image: str, monkeypatch: pytest.MonkeyPatch) -> DagsterInstance:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{SOCKET}")
    return fleet(locations={"ml": {"launcher": other(image)}}, strict=True)


def other(image: str) -> dict[str, Any]:
    config = {
        "image": image,
        "network": "none",
        "container_kwargs": {"labels": {f"{PREFIX}/managed": "true"}, "stop_timeout": 1},
    }
    return {"module": "dagster_docker", "class": "DockerRunLauncher", "config": config}


def launched(instance: DagsterInstance, location: str) -> DagsterRun:
    run = create_run(instance, location=location)
    instance.run_launcher.launch_run(launching(run))
    return reloaded(instance, run)


def test_each_location_goes_to_its_launcher_and_the_runs_tag_says_which(mixed: DagsterInstance) -> None:
    ours, theirs = launched(mixed, "etl"), launched(mixed, "ml")
    assert ours.tags["multihost_docker/launcher_type"] == "docker"
    assert ID_TAG not in ours.tags
    assert theirs.tags["multihost_docker/launcher_type"] == "dagster_docker.DockerRunLauncher"
    assert ID_TAG in theirs.tags


def test_health_resume_and_termination_are_the_other_launchers(
    mixed: DagsterInstance, docker: APIClient
) -> None:
    run = launched(mixed, "ml")
    launcher = mixed.run_launcher
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    docker.kill(run.tags[ID_TAG])
    assert "Container status is exited" in str(launcher.check_run_worker_health(run).msg)
    launcher.resume_run(ResumeRunContext(dagster_run=run, workspace=None, resume_attempt_number=1))
    resumed = reloaded(mixed, run)
    assert resumed.tags[ID_TAG] != run.tags[ID_TAG]
    assert launcher.terminate(run.run_id)
    assert docker.inspect_container(resumed.tags[ID_TAG])["State"]["Status"] == "exited"
    assert launcher.get_run_worker_debug_info(resumed) is None


def test_a_run_whose_launcher_left_the_configuration_is_not_mistaken_for_one_of_ours(
    mixed: DagsterInstance, fleet: Load
) -> None:
    run = launched(mixed, "ml")
    without = fleet()
    with pytest.raises(LaunchError, match=r"taken by dagster_docker.DockerRunLauncher, .* Put it back until"):
        without.run_launcher.check_run_worker_health(run)


def test_runs_of_dagster_docker_outlive_a_move_of_their_location_to_our_hosts(
    mixed: DagsterInstance, fleet: Load
) -> None:
    run = launched(mixed, "ml")
    moved = fleet(host={"location_names": ["etl", "ml"]})
    with pytest.raises(LaunchError, match=r"taken by dagster_docker.DockerRunLauncher"):
        moved.run_launcher.terminate(run.run_id)
    assert launched(moved, "ml").tags["multihost_docker/host_name"] == "beta"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagster import DagsterInstance, DagsterRun
from dagster_multihost_launcher import build_admin_definitions
from dagster_multihost_launcher.worker import container_name
from docker import APIClient

from tests.unit.launcher.runs import create_run, launching, reloaded

Load = Callable[..., DagsterInstance]


def launched(instance: DagsterInstance, docker: APIClient) -> DagsterRun:
    """A run whose container has exited."""
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    docker.kill(container_name(run.run_id, 1))
    return reloaded(instance, run)


def administered(instance: DagsterInstance, **tags: str) -> dict[str, Any]:
    job = build_admin_definitions().resolve_job_def("multihost_admin_job")
    result = job.execute_in_process(instance=instance, tags=tags)
    assert result.success
    return {
        event.asset_key.to_user_string(): {
            key: value.value for key, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def names(docker: APIClient) -> list[str]:
    return [each["Names"][0] for each in docker.containers(all=True)]


def test_clean_up_removes_what_is_old_and_finished_and_nothing_of_an_unfinished_run(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet()
    finished, unfinished = launched(instance, docker), launched(instance, docker)
    instance.report_run_failed(finished)
    seen = administered(instance, **{"multihost/cleanup_max_age_hours": "0"})
    assert seen["multihost_container_status"]["containers"] == {"beta": {"exited": 2}}
    outcome = seen["multihost_container_cleanup"]
    assert outcome["removed_names"] == [container_name(finished.run_id, 1)]
    assert outcome["kept"] == {"its run is not finished": 1}
    assert f"/{container_name(unfinished.run_id, 1)}" in names(docker)


def test_clean_up_leaves_recent_containers_for_whoever_wants_to_look(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = launched(instance, docker)
    instance.report_run_failed(run)
    outcome = administered(instance)["multihost_container_cleanup"]
    assert outcome["removed"] == 0
    assert outcome["kept"] == {"its run ended only a while ago": 1}


def test_a_host_that_does_not_answer_is_reported_and_does_not_stop_the_clean_up(
    fleet: Load, docker: APIClient
) -> None:
    dark = {
        "host_name": "dark",
        "docker_url": "tcp://127.0.0.1:1",
        "insecure": True,
        "location_names": ["other"],
    }
    beta = {
        "host_name": "beta",
        "docker_url": "unix:///var/run/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    instance = fleet(docker_hosts=[dark, beta])
    instance.report_run_failed(launched(instance, docker))
    tags = {"multihost/cleanup_max_age_hours": "0"}
    outcome = administered(instance, **tags)["multihost_container_cleanup"]
    assert outcome["removed"] == 1
    assert "dark" in outcome["unreachable"]

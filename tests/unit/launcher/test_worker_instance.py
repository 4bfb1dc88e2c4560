from __future__ import annotations

from pathlib import Path

import yaml
from dagster import DagsterInstance
from dagster_multihost_launcher.worker_instance import WorkerInstance, for_workers

from tests.unit.launcher.runs import instance_from, launcher_config

OURS = {
    "run_coordinator": {
        "module": "clt_queued_run_coordinator.coordinator",
        "class": "CLTQueuedRunCoordinator",
        "config": {
            "max_concurrent_runs": {"env": "ONLY_ON_THE_CONTROL_HOST"},
            "user_header": "X-User",
            "block_op_concurrency_limited_runs": {"enabled": True},
        },
    }
}


def test_workers_get_dagsters_own_coordinator_with_only_what_pools_heed(tmp_path: Path) -> None:
    with instance_from(tmp_path, {**launcher_config(), **OURS}) as instance:
        ref = for_workers(instance.get_ref())
    assert ref.run_coordinator_data is not None
    assert ref.run_coordinator_data.module_name == "dagster._core.run_coordinator"
    assert yaml.safe_load(ref.run_coordinator_data.config_yaml) == {
        "block_op_concurrency_limited_runs": {"enabled": True}
    }
    with DagsterInstance.from_ref(ref) as worker:
        assert worker.event_log_storage.get_pool_config()


def test_workers_resume_nothing_so_that_they_need_no_launcher(tmp_path: Path) -> None:
    monitoring = {"enabled": True, "max_resume_run_attempts": 2, "poll_interval_seconds": 9}
    with instance_from(tmp_path, {**launcher_config(), "run_monitoring": monitoring}) as instance:
        settings = for_workers(instance.get_ref()).settings["run_monitoring"]
    assert settings == {**monitoring, "max_resume_run_attempts": 0}


def test_workers_are_told_where_the_hosts_are_and_no_secret_of_the_launcher(tmp_path: Path) -> None:
    secret = "hunter2"
    registry = {"url": "registry.example.com", "username": "puller", "password": secret}
    beta = {"host_name": "beta", "docker_url": "unix:///run/docker.sock", "location_names": ["etl"]}
    config = launcher_config(
        docker_hosts=[{**beta, "registry": registry, "env_vars": [f"TOKEN={secret}"]}],
        registry=registry,
        default_env_vars=[f"TOKEN={secret}"],
        default_container_kwargs={"log_config": {"type": "splunk", "config": {"splunk-token": secret}}},
        locations={"etl": {"env_vars": [f"TOKEN={secret}"]}},
    )
    with instance_from(tmp_path, config) as instance:
        ref = for_workers(instance.get_ref())
    assert secret not in str(ref)
    with DagsterInstance.from_ref(ref) as worker:
        assert [host.name for host in worker.run_launcher.hosts] == ["beta"]  # type: ignore[attr-defined]


def test_dagsters_own_coordinator_reaches_workers_unchanged(tmp_path: Path) -> None:
    own = {"run_queue": {"max_concurrent_runs": 3}}
    with instance_from(tmp_path, {**launcher_config(), **own}) as instance:
        assert for_workers(instance.get_ref()) == instance.get_ref()


def test_a_worker_instance_is_the_original_in_all_else(tmp_path: Path) -> None:
    with instance_from(tmp_path, {**launcher_config(), **OURS}) as instance:
        seen = WorkerInstance(instance)
        assert seen.run_storage is instance.run_storage
        assert seen.get_ref() == for_workers(instance.get_ref())

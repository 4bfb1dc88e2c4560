from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError, RunPostponed
from dagster_multihost_launcher.worker import container_name
from docker import APIClient
from docker.errors import NotFound

from tests.docker.launcher.conftest import PREFIX
from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, messages, reloaded

Load = Callable[..., DagsterInstance]


def launch(instance: DagsterInstance, run: DagsterRun) -> None:
    instance.run_launcher.launch_run(launching(reloaded(instance, run)))


def eventually(done: Callable[[], None]) -> None:
    """Do it as soon as the host is no longer left alone."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return done()
        except HostUnreachable:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def inspect(docker: APIClient, run: DagsterRun, attempt: int = 1) -> dict[str, Any]:
    return dict(docker.inspect_container(container_name(run.run_id, attempt)))


def ours(docker: APIClient, run: DagsterRun) -> list[str]:
    label = f"{PREFIX}/run_id={run.run_id}"
    return [each["Id"] for each in docker.containers(all=True, filters={"label": label})]


def test_a_run_of_a_mapped_location_is_a_labelled_container_that_its_tags_name(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet()
    run = create_run(instance)
    launch(instance, run)
    container = inspect(docker, run)
    labels = container["Config"]["Labels"]
    assert container["State"]["Status"] == "running"
    assert len(labels.pop(f"{PREFIX}/plan")) == 16
    assert labels == {
        f"{PREFIX}/run_id": run.run_id,
        f"{PREFIX}/job_name": "nightly",
        f"{PREFIX}/location_name": "etl",
        f"{PREFIX}/host_name": "beta",
        f"{PREFIX}/attempt": "1",
        f"{PREFIX}/managed": "true",
    }
    tags = reloaded(instance, run).tags
    assert tags["multihost_docker/container_id"] == container["Id"]
    assert tags["multihost_docker/host_name"] == "beta"
    assert tags["multihost_docker/launcher_type"] == "docker"
    assert f"of image {image} on beta" in messages(instance, run)


def test_a_launch_says_where_and_goes_on_where_that_cannot_be_stored(
    fleet: Load, docker: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    instance = fleet()
    run = create_run(instance)
    launch(instance, run)
    container = f"{container_name(run.run_id, 1)} ({inspect(docker, run)['Id'][:12]})"
    assert messages(instance, run).count(f"Starting container {container} of image") == 1

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(instance, "report_engine_event", full)
    run = create_run(instance)
    launch(instance, run)
    assert inspect(docker, run)["State"]["Status"] == "running"
    assert "could not be stored" in caplog.text


def test_a_launch_with_the_image_present_takes_two_docker_calls(fleet: Load, wire: Wire) -> None:
    instance = fleet(reaper={"enabled": False})  # on a machine so slow that it looks at the run meanwhile
    launch(instance, create_run(instance))  # the first one also agrees on the API's version
    wire.forget()
    run = create_run(instance)
    launch(instance, run)
    verbs = [request.rsplit("/", 1)[1] for request in wire.requests]
    assert verbs == ["create", "start"]


def test_loading_the_instance_and_building_the_launcher_make_no_docker_call(fleet: Load, wire: Wire) -> None:
    instance = fleet()
    assert instance.run_launcher.supports_check_run_worker_health
    assert wire.requests == []


def test_entrypoint_volumes_hosts_and_variables_of_a_location_reach_its_containers(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet(
        host={"env_vars": ["WHO=host", "HOST=1"], "container_kwargs": {"volumes": ["/etc/hostname:/a:ro"]}},
        default_env_vars=["WHO=default", "DEFAULT=1"],
        locations={
            "etl": {
                "env_vars": ["WHO=location"],
                "container_kwargs": {
                    "entrypoint": ["/bin/env", "WRAPPED=1"],
                    "volumes": ["/etc/hostname:/b:ro"],
                    "extra_hosts": {"db.mesh": "172.31.250.1"},
                },
            }
        },
    )
    run = create_run(instance)
    launch(instance, run)
    container = inspect(docker, run)
    config, host_config = container["Config"], container["HostConfig"]
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    assert (environment["WHO"], environment["HOST"], environment["DEFAULT"]) == ("location", "1", "1")
    assert environment["DAGSTER_RUN_ID"] == run.run_id
    assert environment["DAGSTER_RUN_JOB_NAME"] == "nightly"
    assert config["Entrypoint"] == ["/bin/env", "WRAPPED=1"]
    assert config["Cmd"][:3] == ["dagster", "api", "execute_run"]
    assert host_config["Binds"] == ["/etc/hostname:/a:ro", "/etc/hostname:/b:ro"]
    assert host_config["ExtraHosts"] == ["db.mesh:172.31.250.1"]


def test_the_launchers_own_environment_does_not_reach_the_container(
    fleet: Load, docker: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "hunter2")
    instance = fleet()
    run = create_run(instance)
    launch(instance, run)
    assert "hunter2" not in json.dumps(inspect(docker, run))


def test_a_second_launch_of_a_run_adopts_the_container_of_the_first(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    run = create_run(instance)
    launch(instance, run)
    first = inspect(docker, run)["Id"]
    launch(instance, run)
    assert ours(docker, run) == [first]


def test_a_container_that_an_interrupted_launch_only_created_is_replaced_and_started(
    fleet: Load, docker: APIClient, image: str
) -> None:
    instance = fleet()
    run = create_run(instance)
    docker.create_container(
        image, command="dagster", name=container_name(run.run_id, 1), labels={f"{PREFIX}/run_id": run.run_id}
    )
    launch(instance, run)
    assert inspect(docker, run)["State"]["Status"] == "running"
    assert len(ours(docker, run)) == 1


def test_a_container_that_a_cut_off_launch_created_from_the_same_plan_is_started(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    docker.create_network(PREFIX)
    docker.create_network(f"{PREFIX}-2")
    instance = fleet(host={"network": PREFIX, "networks": [f"{PREFIX}-2"]})
    run = create_run(instance)
    wire.cut_on = ("/start", "DELETE")
    with pytest.raises(HostUnreachable):
        launch(instance, run)
    wire.cut_on = ()
    first = inspect(docker, run)["Id"]
    eventually(lambda: launch(instance, run))
    assert inspect(docker, run)["Id"] == first
    assert inspect(docker, run)["State"]["Status"] == "running"


def test_two_launches_of_one_run_at_the_same_time_make_one_container_and_neither_fails(
    fleet: Load, docker: APIClient
) -> None:
    first, second = fleet(), fleet()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            run = create_run(first)
            for done in [pool.submit(launch, instance, run) for instance in (first, second)]:
                done.result(timeout=60)
            (container_id,) = ours(docker, run)
            assert docker.inspect_container(container_id)["State"]["Status"] == "running"
            assert reloaded(first, run).tags["multihost_docker/container_id"] == container_id


def test_the_connections_are_closed_when_the_instance_is_disposed_of(fleet: Load) -> None:
    instance = fleet()
    launch(instance, create_run(instance))
    connection = instance.run_launcher.hosts.named("beta")  # type: ignore[attr-defined]
    assert connection._client is not None
    instance.run_launcher.dispose()
    assert connection._client is None


def test_a_foreign_container_of_that_name_is_left_alone(fleet: Load, docker: APIClient, image: str) -> None:
    instance = fleet()
    run = create_run(instance)
    name = container_name(run.run_id, 1)
    foreign = docker.create_container(image, command="dagster", name=name, labels={f"{PREFIX}/managed": "x"})
    with pytest.raises(LaunchError, match=f"{name} that belongs to something else. Remove it"):
        launch(instance, run)
    assert docker.inspect_container(foreign["Id"])["State"]["Status"] == "created"


def test_a_missing_network_fails_the_launch_and_leaves_no_container(fleet: Load, docker: APIClient) -> None:
    instance = fleet(host={"network": "dagfleet-test-no-such-network"})
    run = create_run(instance)
    with pytest.raises(LaunchError, match="docker network create dagfleet-test-no-such-network"):
        launch(instance, run)
    assert ours(docker, run) == []


def test_a_missing_second_network_fails_the_launch_and_leaves_no_container(
    fleet: Load, docker: APIClient
) -> None:
    docker.create_network(PREFIX)
    instance = fleet(host={"network": PREFIX, "networks": ["dagfleet-test-no-such-network"]})
    run = create_run(instance)
    with pytest.raises(LaunchError, match="dagfleet-test-no-such-network not found"):
        launch(instance, run)
    assert ours(docker, run) == []


def test_a_run_is_attached_to_all_networks_of_its_host_and_location(fleet: Load, docker: APIClient) -> None:
    docker.create_network(PREFIX)
    docker.create_network(f"{PREFIX}-2")
    instance = fleet(host={"network": PREFIX}, locations={"etl": {"networks": [f"{PREFIX}-2"]}})
    run = create_run(instance)
    launch(instance, run)
    assert inspect(docker, run)["NetworkSettings"]["Networks"].keys() == {PREFIX, f"{PREFIX}-2"}


def test_an_entrypoint_that_the_image_lacks_fails_the_launch_and_leaves_no_container(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet(host={"container_kwargs": {"entrypoint": ["/no/such/program"]}})
    run = create_run(instance)
    with pytest.raises(LaunchError, match="/no/such/program"):
        launch(instance, run)
    assert ours(docker, run) == []


def test_an_image_whose_registry_is_away_hands_the_run_back_and_names_both(fleet: Load) -> None:
    instance = fleet()
    run = create_run(instance, image="localhost:1/dagfleet-test-absent:1")
    with pytest.raises(RunPostponed, match=r"beta could not pull localhost:1/dagfleet-test-absent:1"):
        launch(instance, run)


def test_an_image_that_is_present_is_never_pulled(fleet: Load, wire: Wire) -> None:
    instance = fleet()
    launch(instance, create_run(instance))
    assert not [request for request in wire.requests if "/images/create" in request]


def test_a_run_canceled_before_its_container_starts_leaves_no_container(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet()
    run = create_run(instance)
    instance.report_run_canceling(run)
    instance.run_launcher.launch_run(launching(run))
    assert reloaded(instance, run).status.value == "CANCELED"
    with pytest.raises(NotFound):
        inspect(docker, run)


def test_a_host_that_falls_silent_at_create_hands_the_run_back_within_the_read_time_out(
    fleet: Load, wire: Wire
) -> None:
    instance = fleet(read_timeout=2)
    wire.silent_on = ("/containers/create",)
    with pytest.raises(HostUnreachable) as caught:
        launch(instance, create_run(instance))
    assert caught.value.retry_after_seconds == 1
    assert not caught.value.may_be_running


def test_a_start_that_is_not_answered_is_undone_before_another_host_may_take_the_run(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    instance = fleet()
    run = create_run(instance)
    wire.cut_on = ("/start",)
    with pytest.raises(HostUnreachable) as caught:
        launch(instance, run)
    assert not caught.value.may_be_running
    assert ours(docker, run) == []


def test_a_start_that_can_neither_be_answered_nor_undone_keeps_the_run_on_that_host(
    fleet: Load, docker: APIClient, wire: Wire
) -> None:
    instance = fleet()
    run = create_run(instance)
    wire.cut_on = ("/start", "DELETE")
    with pytest.raises(HostUnreachable) as caught:
        launch(instance, run)
    assert caught.value.may_be_running
    wire.cut_on = ()
    eventually(lambda: launch(instance, run))
    assert len(ours(docker, run)) == 1
    assert inspect(docker, run)["State"]["Status"] == "running"

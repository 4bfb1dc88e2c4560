"""What runs, code servers and hosts bring to a container, as dockerd has it in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster_multihost_launcher.errors import LaunchError, NoCapacity
from dagster_multihost_launcher.worker import container_name
from docker import APIClient

from tests.docker.launcher.conftest import PREFIX
from tests.unit.launcher.runs import create_run, launching, reloaded

Load = Callable[..., DagsterInstance]
GIB = 2**30


def launch(instance: DagsterInstance, **run: Any) -> DagsterRun:
    created = create_run(instance, **run)
    instance.run_launcher.launch_run(launching(created))
    return reloaded(instance, created)


def inspected(docker: APIClient, run: DagsterRun) -> dict[str, Any]:
    return dict(docker.inspect_container(container_name(run.run_id, 1)))


def test_a_runs_tags_limit_its_container(fleet: Load, docker: APIClient) -> None:
    instance = fleet(locations={"etl": {"container_kwargs": {"mem_limit": "1g", "pids_limit": 50}}})
    tags = {
        "multihost/memory": "256m",
        "multihost/cpus": "0.5",
        "multihost/shm_size": "32m",
        "multihost/user": "1234:1234",
        "multihost/stop_timeout": "7",
        "multihost/container_kwargs": '{"init": true, "cap_drop": ["ALL"]}',
    }
    found = inspected(docker, launch(instance, tags=tags))
    host_config = found["HostConfig"]
    assert (host_config["Memory"], host_config["NanoCpus"]) == (256 * 2**20, 500_000_000)
    assert (host_config["ShmSize"], host_config["PidsLimit"]) == (32 * 2**20, 50)
    assert (host_config["Init"], host_config["CapDrop"]) == (True, ["ALL"])
    assert (found["Config"]["User"], found["Config"]["StopTimeout"]) == ("1234:1234", 7)


REACHING_THE_HOST: tuple[dict[str, Any], ...] = (
    {"privileged": True},
    {"Privileged": True},
    {"hostconfig": {"privileged": True}},
    {"volumes": ["/:/host"]},
    {"Binds": ["/:/host"]},
    {"network_mode": "host"},
    {"pid_mode": "host"},
    {"cap_add": ["SYS_ADMIN"]},
    {"devices": ["/dev/kmsg"]},
)


def test_a_run_that_asks_for_the_host_gets_no_container(fleet: Load, docker: APIClient) -> None:
    instance = fleet()
    for arguments in REACHING_THE_HOST:
        with pytest.raises(LaunchError, match="may not set"):
            launch(instance, tags={"multihost/container_kwargs": json.dumps(arguments)})
    assert not docker.containers(all=True, filters={"label": f"{PREFIX}/managed"})


def test_runs_that_ask_for_memory_fill_a_host_and_the_next_one_waits(fleet: Load) -> None:
    instance = fleet(host={"memory": "1g", "cpus": 4})
    tags = {"multihost/memory": "600m"}
    first = launch(instance, tags=tags)
    with pytest.raises(NoCapacity) as caught:
        launch(instance, tags=tags)
    assert caught.value.reason == "no host has room: beta has 0.414 GiB of 1 GiB memory left for 0.586 GiB"
    launch(instance, tags={"multihost/memory": "300m"})
    instance.report_run_canceled(first)
    launch(instance, tags=tags)


def test_a_pin_and_labels_choose_the_host(fleet: Load, tmp_path: Path) -> None:
    beta = {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    gamma = {**beta, "host_name": "gamma", "labels": {"gpu": True}}
    instance = fleet(docker_hosts=[beta, gamma], placement="pack")

    def host_of(**tags: str) -> str:
        named = {f"multihost/{name}": value for name, value in tags.items()}
        return launch(instance, tags=named).tags["multihost_docker/host_name"]

    assert host_of() == "beta"
    assert host_of(host="gamma") == "gamma"
    assert host_of(labels="gpu=true") == "gamma"
    with pytest.raises(LaunchError, match=r"No host of etl has the labels gpu=false"):
        host_of(labels="gpu=false")


def test_a_location_that_needs_a_label_runs_only_where_it_is(fleet: Load, tmp_path: Path) -> None:
    beta = {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    gamma = {**beta, "host_name": "gamma", "labels": {"gpu": True}}
    instance = fleet(docker_hosts=[beta, gamma], locations={"etl": {"host_labels": {"gpu": True}}})
    assert {launch(instance).tags["multihost_docker/host_name"] for _ in range(2)} == {"gamma"}


def test_secrets_from_files_reach_the_process_and_not_docker_inspect(
    fleet: Load, docker: APIClient, tmp_path: Path
) -> None:
    (tmp_path / "all.env").write_text("# for every location\nTOKEN=all\nOTHER=it's a b  \n")
    (tmp_path / "etl.env").write_text("TOKEN=hunter2")
    instance = fleet(
        host={"secret_env_files": [f"{tmp_path}/all.env"]},
        locations={
            "etl": {
                "secret_env_files": [f"{tmp_path}/{{location}}.env"],
                "container_kwargs": {"entrypoint": ["sh", "-c", 'echo "$TOKEN|$OTHER|$*"', "shown"]},
            }
        },
    )
    run = launch(instance)
    name = container_name(run.run_id, 1)
    assert docker.wait(name, timeout=60)["StatusCode"] == 0
    said = docker.logs(name).decode()
    assert said.startswith("hunter2|it's a b  |dagster api execute_run")
    shown = json.dumps(inspected(docker, run))
    assert "hunter2" not in shown
    assert "it's a b" not in shown


def test_an_entrypoint_of_the_image_itself_is_kept_when_secrets_are_added(
    fleet: Load, docker: APIClient, image: str, tmp_path: Path
) -> None:
    (tmp_path / "etl.env").write_text("TOKEN=hunter2\n")
    made = docker.create_container(image, command="dagster", labels={f"{PREFIX}/managed": "true"})["Id"]
    docker.commit(made, repository=PREFIX, tag="wrapped", conf={"Entrypoint": ["env", "WRAPPED=1"]})
    try:
        instance = fleet(host={"secret_env_files": [f"{tmp_path}/etl.env"]})
        run = launch(instance, image=f"{PREFIX}:wrapped")
        entrypoint = inspected(docker, run)["Config"]["Entrypoint"]
        assert entrypoint[:2] == ["/bin/sh", "-c"]
        assert entrypoint[3:] == ["with-secrets", "env", "WRAPPED=1"]
        assert inspected(docker, run)["State"]["Status"] == "running"
    finally:
        for found in docker.containers(all=True, filters={"label": f"{PREFIX}/managed"}):
            docker.remove_container(found["Id"], force=True)
        docker.remove_image(f"{PREFIX}:wrapped", force=True)


def test_a_secret_file_that_the_host_lacks_fails_the_launch_and_leaves_no_container(
    fleet: Load, docker: APIClient
) -> None:
    instance = fleet(host={"secret_env_files": ["/no/such/file.env"]})
    with pytest.raises(LaunchError, match=r"/no/such/file.env.* Create it on that host"):
        launch(instance)
    assert not docker.containers(all=True, filters={"label": f"{PREFIX}/managed"})


def test_a_run_joins_the_listed_networks_of_its_code_server(
    fleet: Load, docker: APIClient, image: str
) -> None:
    for name in (PREFIX, f"{PREFIX}-shop", f"{PREFIX}-admin"):
        docker.create_network(name)
    server = docker.create_container(
        image, command="dagster", name=f"{PREFIX}-etl", labels={f"{PREFIX}/managed": "true"}
    )["Id"]
    for name in (f"{PREFIX}-shop", f"{PREFIX}-admin"):
        docker.connect_container_to_network(server, name)
    instance = fleet(
        host={
            "network": PREFIX,
            "inherit_env_from_container": f"{PREFIX}-{{location}}",
            "inherit_networks": ["*-shop"],
        }
    )
    run = launch(instance)
    assert inspected(docker, run)["NetworkSettings"]["Networks"].keys() == {PREFIX, f"{PREFIX}-shop"}

"""dagster.yaml and workspace.yaml, loaded by Dagster itself."""

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from clt_queued_run_coordinator.coordinator import CLTQueuedRunCoordinator
from dagfleet.derive import dagster_yaml, workspace_yaml
from dagfleet.fleet import Fleet
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_multihost_launcher import MultiHostDockerRunLauncher, PostgresComputeLogManager
from dagster_postgres.utils import pg_config, pg_url_from_config

from tests.unit.fleet.texts import fleet_with, location

LOCATIONS = """
locations:
  etl:
    hosts: [beta, gamma]
    image: etl:1
    module: etl.defs
    limits: {concurrent_runs: 4}
    env: {PLAIN: "a=b {{ c }}", PASSWORD: secret://warehouse}
  reporting: {hosts: [delta], requirements: [./reporting], module: reporting.defs}
"""
EXTERNAL = "postgres: {mode: external, url: secret://warehouse}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path, fleet_with(locations=LOCATIONS))


def write(home: Path, fleet: Fleet) -> Path:
    (home / "dagster.yaml").write_text(dagster_yaml(fleet))
    (home / "workspace.yaml").write_text(workspace_yaml(fleet))
    return home


def settings(home: Path) -> dict[str, Any]:
    values, _ = dagster_instance_config(str(home))
    return dict(values)


def origins(home: Path) -> list[GrpcServerCodeLocationOrigin]:
    found = location_origins_from_yaml_paths([str(home / "workspace.yaml")])
    return [origin for origin in found if isinstance(origin, GrpcServerCodeLocationOrigin)]


def storage_url(home: Path) -> str:
    """Return the URL that dagster-postgres connects to."""
    data = InstanceRef.from_dir(str(home)).storage_data
    assert data is not None
    resolved = process_config(resolve_to_config_type(pg_config()), data.config_dict)
    assert resolved.success, resolved.errors
    return str(pg_url_from_config(resolved.value or {}))


def test_dagster_accepts_every_setting(home: Path) -> None:
    values = settings(home)
    assert values["telemetry"] == {"enabled": False}
    assert values["run_monitoring"]["enabled"] is True
    assert values["run_monitoring"]["max_resume_run_attempts"] == 0
    assert "concurrency" not in values


def test_storage_is_the_fleets_own_postgres_without_a_password(home: Path) -> None:
    assert storage_url(home) == "postgresql://dagster@db.mesh:6432/dagster"


def test_compute_logs_are_kept_in_the_fleets_own_postgres_for_a_month(home: Path) -> None:
    manager = InstanceRef.from_dir(str(home)).compute_log_manager
    assert isinstance(manager, PostgresComputeLogManager)
    assert manager.inst_data
    assert manager.inst_data.config_dict == {
        "postgres_url": "postgresql://dagster@db.mesh:6432/dagster",
        "retention_days": 30,
    }
    etl = settings(home)["run_launcher"]["config"]["locations"]["etl"]
    lent = "/usr/local/lib/dagfleet/launcher.whl:/run/dagfleet/launcher.whl:ro"
    assert lent in etl["container_kwargs"]["volumes"]


def test_compute_logs_that_stay_on_the_hosts_need_nothing_in_containers(tmp_path: Path) -> None:
    home = write(tmp_path, fleet_with(locations=LOCATIONS, compute_logs="compute_logs: {store: local}"))
    assert isinstance(InstanceRef.from_dir(str(home)).compute_log_manager, LocalComputeLogManager)
    assert "launcher.whl" not in (home / "dagster.yaml").read_text()


def test_the_coordinator_limits_each_location_that_has_a_limit(home: Path) -> None:
    coordinator = InstanceRef.from_dir(str(home)).run_coordinator
    assert isinstance(coordinator, CLTQueuedRunCoordinator)
    config = coordinator.get_run_queue_config()
    assert config.max_concurrent_runs == 25
    assert config.tag_concurrency_limits == [{"key": "code_location", "value": "etl", "limit": 4}]


def test_admission_and_fair_sharing_are_the_coordinators(tmp_path: Path) -> None:
    queue = "queue: {admission: {max_runs_per_user: 7}, fair_sharing: {key: user, weights: {ada: 2}}}"
    coordinator = InstanceRef.from_dir(
        str(write(tmp_path, fleet_with(queue=queue, locations=LOCATIONS)))
    ).run_coordinator
    assert isinstance(coordinator, CLTQueuedRunCoordinator)
    admission, sharing = coordinator.extensions.admission, coordinator.extensions.fair_sharing
    assert admission
    assert (admission.max_runs_per_user, admission.max_queue_size) == (7, 10_000)
    assert sharing
    assert (sharing.key, sharing.weights) == ("user", {"ada": 2.0})


def test_without_them_every_run_is_queued_first_in_first_out(home: Path) -> None:
    coordinator = InstanceRef.from_dir(str(home)).run_coordinator
    assert isinstance(coordinator, CLTQueuedRunCoordinator)
    assert coordinator.extensions.admission is None
    assert coordinator.extensions.fair_sharing is None


def test_the_launcher_knows_each_host_with_docker_that_serves_a_location(home: Path) -> None:
    launcher = InstanceRef.from_dir(str(home)).run_launcher
    assert isinstance(launcher, MultiHostDockerRunLauncher)
    data = launcher.inst_data
    assert data is not None
    hosts = {host["host_name"]: host for host in data.config_dict["docker_hosts"]}
    assert list(hosts) == ["beta", "gamma"]
    assert hosts["beta"]["docker_url"] == "tcp://10.0.1.2:2376"
    assert hosts["beta"]["location_names"] == ["etl"]
    assert hosts["beta"]["tls"]["verify"] is True


def test_what_a_host_offers_and_what_a_run_may_not_take_reach_the_launcher(tmp_path: Path) -> None:
    hosts = """
        hosts:
          alpha: {address: 10.0.1.1}
          beta: {address: 10.0.1.2, max_runs: 3, cpus: 4, memory: 8g, labels: {gpu: true}}
          gamma: {address: 10.0.1.3}
          delta: {address: 10.0.1.4, docker: none}
        """
    pushed = fleet_with(hosts=hosts, locations=LOCATIONS, docker="docker: {images: push}")
    launcher = InstanceRef.from_dir(str(write(tmp_path, pushed))).run_launcher
    assert isinstance(launcher, MultiHostDockerRunLauncher)
    config = launcher.inst_data.config_dict if launcher.inst_data else {}
    beta, gamma = config["docker_hosts"]
    assert (beta["max_runs"], beta["cpus"], beta["memory"], beta["labels"]) == (3, 4.0, "8g", {"gpu": True})
    assert not {"max_runs", "cpus", "memory", "labels"} & set(gamma)
    assert (config["container_context"], config["pull_policy"]) == ("safe", "never")


def test_loading_the_instance_opens_no_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    reference = InstanceRef.from_dir(str(home))
    assert reference.run_launcher
    assert reference.run_coordinator


def test_runs_get_plain_values_and_the_mount_of_secret_ones(home: Path) -> None:
    config = yaml.safe_load((home / "dagster.yaml").read_text())["run_launcher"]["config"]
    etl = config["locations"]["etl"]
    assert "PLAIN=a=b {{ c }}" in etl["env_vars"]
    assert not [value for value in etl["env_vars"] if "PASSWORD" in value]
    assert "/etc/dagfleet/locations/etl:/run/dagfleet/location:ro" in etl["container_kwargs"]["volumes"]
    assert "reporting" not in config["locations"]


def test_another_image_of_a_location_leaves_the_control_planes_files_as_they_are(tmp_path: Path) -> None:
    texts = set()
    for image in ("etl:1", "etl:2"):
        folder = tmp_path / image[-1]
        folder.mkdir()
        home = write(folder, fleet_with(locations=LOCATIONS.replace("etl:1", image)))
        texts.add((home / "dagster.yaml").read_text())
    assert len(texts) == 1


def test_the_url_of_an_external_postgres_stays_out_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write(tmp_path, fleet_with(postgres=EXTERNAL))
    assert "db.mesh" not in (home / "dagster.yaml").read_text()
    monkeypatch.setenv("DAGFLEET_POSTGRES_URL", "postgresql://u:p@pg.example.com/dagster")
    assert storage_url(home) == "postgresql://u:p@pg.example.com/dagster"


def test_the_workspace_reaches_every_location_by_the_gateway(home: Path) -> None:
    found = {origin.location_name: (origin.host, origin.port) for origin in origins(home)}
    assert found == {
        "etl": ("gateway.mesh", 31080),
        "reporting": ("gateway.mesh", 26702),
        "admin": ("dagfleet-admin", 4000),
    }


@pytest.mark.parametrize("name", ["on", "no", "yes", "null", "true"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(tmp_path: Path, name: str) -> None:
    etl = location(limits="{concurrent_runs: 1}")
    home = write(tmp_path, fleet_with(locations=etl.replace("etl:", f'"{name}":', 1)))
    assert [origin.location_name for origin in origins(home)] == [name, "admin"]
    coordinator = settings(home)["run_coordinator"]["config"]
    assert coordinator["tag_concurrency_limits"][0]["value"] == name


def test_the_same_fleet_gives_the_same_text() -> None:
    assert dagster_yaml(fleet_with()) == dagster_yaml(fleet_with())

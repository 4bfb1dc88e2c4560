from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from dagster._core.errors import DagsterInvalidConfigError
from dagster._serdes import ConfigurableClassData
from dagster_docker.utils import DOCKER_CONFIG_SCHEMA
from dagster_multihost_launcher import MultiHostDockerRunLauncher, sole
from dagster_multihost_launcher.errors import LauncherConfigError
from dagster_multihost_launcher.routing import nearest, pool
from dagster_multihost_launcher.settings import Host, Settings

from tests.unit.launcher.runs import instance_from, launcher_config

REFERENCE = """
default_env_vars: [DAGSTER_POSTGRES_HOST=10.0.1.1, EMPTY=]
default_env_file: /opt/dagster/default.env
default_container_kwargs:
  auto_remove: false
  mem_limit: 2g
  log_config: {type: json-file, config: {labels-regex: "^dagster/"}}
container_label_prefix: dagster
log_url_template: "https://logs.example.com/{run_id}?job={job_name}&at={launch_ms}"
docker_hosts:
  - host_name: host-a
    location_names: [local_containers]
    network: dagster_net
    tls: null
  - host_name: host-b
    docker_url: tcp://10.0.1.2:2376
    tls: {ca_cert: /certs/ca.pem, client_cert: /certs/client-cert.pem, client_key: /certs/client-key.pem}
    location_names: [etl_pipelines, ml_models]
    networks: [dagster_net, metrics]
    env_vars: [MODE=batch]
    env_file: /opt/dagster/host-b.env
    inherit_env_from_container: code-{location}
    container_kwargs: {volumes: ["/data:/data:ro"], shm_size: 1g}
    registry: {url: registry.example.com, username: puller, password: {env: REGISTRY_PASSWORD}}
  - host_name: host-c
    docker_url: ssh://deploy@10.0.1.3
    location_names: [reports]
    inherit_env_from_container: "off"
  - host_name: host-d
    docker_url: unix:///run/user/1000/docker.sock
    location_names: [rootless]
    tls: {client_cert: /c, client_key: /k, verify: true}
"""
DOCKER_RUN_LAUNCHER = """
image: registry.example.com/etl:1.4.2
registry: {url: registry.example.com, username: puller, password: secret}
env_vars: [DAGSTER_HOME, MODE=batch]
networks: [dagster_net, metrics]
container_kwargs: {volumes: ["/data:/data"], stop_timeout: 60, labels: [team]}
"""
BETA = {"host_name": "beta", "docker_url": "unix:///nowhere.sock", "location_names": ["etl"]}


def loaded(config: dict[str, Any]) -> MultiHostDockerRunLauncher:
    return ConfigurableClassData(
        "dagster_multihost_launcher", "MultiHostDockerRunLauncher", yaml.safe_dump(config)
    ).rehydrate(as_type=MultiHostDockerRunLauncher)


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REGISTRY_PASSWORD", "hunter2")
    return loaded(yaml.safe_load(REFERENCE)).settings


def test_configuration_of_the_reference_launcher_loads_unchanged(reference: Settings) -> None:
    a, b, c, d = reference.hosts
    assert [host.url for host in (a, b, c, d)] == [
        None,
        "tcp://10.0.1.2:2376",
        "ssh://deploy@10.0.1.3",
        "unix:///run/user/1000/docker.sock",
    ]
    assert b.tls is not None
    assert b.tls.verify
    assert b.container.networks == ("dagster_net", "metrics")
    assert b.registry is not None
    assert b.registry.password == "hunter2"
    assert reference.defaults.env_file == "/opt/dagster/default.env"
    assert reference.catch_all is None


def test_secrets_of_the_configuration_are_not_in_its_representation(reference: Settings) -> None:
    assert "hunter2" not in repr(reference)
    assert "MODE=batch" not in repr(reference)


def test_configuration_of_docker_run_launcher_runs_every_location_on_this_machines_docker() -> None:
    settings = loaded(yaml.safe_load(DOCKER_RUN_LAUNCHER)).settings
    assert [host.name for host in pool(settings, "whatever")] == ["local"]
    assert settings.defaults.image == "registry.example.com/etl:1.4.2"
    assert settings.defaults.networks == ("dagster_net", "metrics")


def test_every_key_of_docker_run_launcher_is_a_key_here() -> None:
    assert DOCKER_CONFIG_SCHEMA.keys() <= MultiHostDockerRunLauncher.config_type().keys()


def test_an_empty_configuration_leaves_every_location_to_its_code_server() -> None:
    assert pool(loaded({}).settings, "etl") == ()


def test_loading_an_instance_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was attempted")

    hosts = [
        {"host_name": "a", "docker_url": "tcp://192.0.2.1:2375", "insecure": True, "location_names": ["a"]},
        {"host_name": "b", "docker_url": "ssh://user@192.0.2.2", "location_names": ["b"]},
        {"host_name": "c", "location_names": ["c"]},
    ]
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with instance_from(tmp_path, launcher_config(docker_hosts=hosts)) as instance:
        assert isinstance(instance.run_launcher, MultiHostDockerRunLauncher)
        assert instance.info_dict()["run_launcher"]


def test_resuming_runs_may_be_configured(tmp_path: Path) -> None:
    resuming = {"run_monitoring": {"enabled": True, "max_resume_run_attempts": 2}}
    with instance_from(tmp_path, {**launcher_config(docker_hosts=[BETA]), **resuming}) as instance:
        assert instance.run_monitoring_max_resume_run_attempts == 2


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"docker_hosts": [{**BETA, "docker_url": "tcp://10.0.1.2:2375"}]},
            "docker_hosts beta: docker_url: tcp://10.0.1.2:2375: refused without TLS",
        ),
        ({"docker_hosts": [{**BETA, "docker_url": "10.0.1.2"}]}, "write tcp://ADDRESS:2376"),
        (
            {"docker_hosts": [{**BETA, "docker_url": "tcp://10.0.1.2", "insecure": True}]},
            "docker_url: tcp://10.0.1.2: write the port too",
        ),
        ({"docker_hosts": [BETA, BETA]}, "docker_hosts: host_name: beta stands 2 times"),
        (
            {"docker_hosts": [{**BETA, "location_names": ["etl", "etl"]}]},
            "docker_hosts beta: location_names: etl stands 2 times",
        ),
        ({"docker_hosts": [{**BETA, "max_runs": -1}]}, "docker_hosts beta: max_runs: -1: write 0"),
        ({"docker_hosts": [BETA], "locations": {"elt": {}}}, "locations elt: no entry .* did you mean etl?"),
        (
            {"docker_hosts": [{**BETA, "container_kwargs": {"memlimit": "1g"}}]},
            "container_kwargs.memlimit: '1g': is not accepted here; did you mean mem_limit?",
        ),
        (
            {"docker_hosts": [BETA], "default_container_kwargs": {"environment": {}}},
            "default_container_kwargs.environment: {}: is not accepted here; write `env_vars`",
        ),
        (
            {"docker_hosts": [BETA], "locations": {"etl": {"container_kwargs": {"ulimits": 5}}}},
            "locations etl: container_kwargs: {'ulimits': 5}: the Docker SDK refuses it",
        ),
        ({"docker_hosts": [{**BETA, "env_vars": ["=1"]}]}, "env_vars: '': write KEY=VALUE or KEY"),
        ({"connect_timeout": 0}, "connect_timeout: 0: write 1 second or more"),
        ({"placement": "least_load"}, "placement: least_load: is unknown; did you mean least_loaded?"),
        (
            {"docker_hosts": [{**BETA, "pull_policy": "ifnotpresent"}]},
            "docker_hosts beta: pull_policy: ifnotpresent: is unknown; did you mean if_not_present?",
        ),
        (
            {"docker_hosts": [BETA], "locations": {"etl": {"pull_policy": "sometimes"}}},
            "locations etl: pull_policy: sometimes: is unknown; write one of always, if_not_present, never",
        ),
        ({"container_context": "xyz"}, "container_context: xyz: is unknown; write one of all, safe, none"),
        ({"docker_hosts": [{**BETA, "cpus": 0}]}, "docker_hosts beta: cpus: 0: write a number above 0"),
        ({"docker_hosts": [{**BETA, "memory": "lots"}]}, "docker_hosts beta: memory: write a size like 64g"),
        ({"run_tags": {"allowed": ["memroy"]}}, "run_tags.allowed: memroy: is unknown; did you mean memory?"),
        (
            {"run_tags": {"container_kwargs": ["privileged"]}},
            "run_tags.container_kwargs: privileged: whoever launches a run could then reach the host itself",
        ),
        (
            {"run_tags": {"container_kwargs": ["Privileged"]}},
            "run_tags.container_kwargs: Privileged: is no argument of containers.create(); remove it",
        ),
        (
            {"docker_hosts": [{**BETA, "secret_env_files": ["secrets.env"]}]},
            "docker_hosts beta: secret_env_files: secrets.env: write an absolute path",
        ),
        (
            {"docker_hosts": [{**BETA, "inherit_networks": ["a"]}]},
            "inherit_networks: ['a']: name the container in inherit_env_from_container",
        ),
        (
            {"docker_hosts": [{**BETA, "inherit_env_vars": ["A"]}]},
            "name the container in inherit_env_from_container",
        ),
    ],
)
def test_a_mistake_is_refused_with_key_value_and_fix(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LauncherConfigError) as caught:
        loaded(config)
    (problem,) = caught.value.problems
    before, _, after = sentence.partition(" .* ")
    assert before in problem
    assert after in problem


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(LauncherConfigError) as caught:
        loaded({"docker_hosts": [{**BETA, "max_runs": -1}], "read_timeout": 0, "stop_timeout": -1})
    assert len(caught.value.problems) == 3


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(DagsterInvalidConfigError, match="max_run"):
        loaded({"docker_hosts": [{**BETA, "max_run": 3}]})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"docker_url": "tcp://10.0.1.2:2375", "insecure": True}, "who reaches tcp://10.0.1.2:2375 is root"),
        (
            {
                "docker_url": "tcp://10.0.1.2:2376",
                "tls": {"client_cert": "/c", "client_key": "/k", "verify": False},
            },
            "tls.verify: false: whoever answers on that address",
        ),
        ({"inherit_env_from_container": "code-{location}"}, "inherits nothing until inherit_env_vars lists"),
    ],
)
def test_what_should_not_stay_so_loads_with_a_warning(
    more: dict[str, Any], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        loaded({"docker_hosts": [{**BETA, **more}]})
    assert sentence in caplog.text


OURS = """
strict: true
placement: spread
pull_policy: if_not_present
pull_timeout: 1200
container_context: safe
run_tags: {allowed: [host, labels, memory, cpus], container_kwargs: [pids_limit]}
secret_env_files: [/etc/dagster/all.env]
docker_hosts:
  - host_name: beta
    docker_url: unix:///run/docker.sock
    location_names: [etl]
    max_runs: 20
    cpus: 16
    memory: 64g
    labels: {gpu: true, zone: a, rack: 7}
    pull_policy: never
    secret_env_files: [/etc/dagster/beta.env]
    inherit_env_from_container: code-{location}
    inherit_env_vars: [REGION]
    inherit_networks: ["*_default"]
locations:
  etl:
    image: etl:1
    host_labels: {gpu: true}
    placement: pack
    pull_policy: always
    secret_env_files: ["/etc/dagster/{location}.env"]
  ml:
    launcher: {module: dagster_docker, class: DockerRunLauncher, config: {image: "ml:1"}}
"""


def test_every_key_of_ours_means_what_it_says() -> None:
    settings = loaded(yaml.safe_load(OURS)).settings
    (beta,), etl = settings.hosts, settings.location("etl")
    assert (beta.max_runs, beta.cpus, beta.memory) == (20, 16.0, 64 * 2**30)
    assert beta.labels == {"gpu": "true", "zone": "a", "rack": "7"}
    assert etl.host_labels.items() <= beta.labels.items()
    assert (settings.placement, etl.placement) == ("spread", "pack")
    assert settings.pull_policy_for(beta, etl) == "always"
    assert settings.pull_policy_for(beta, settings.location("ml")) == "never"
    assert settings.pull_policy_for(Host(name="gamma"), settings.location("ml")) == "if_not_present"
    assert settings.run_tags.container_kwargs == {"pids_limit"}
    assert settings.location("ml").launcher is not None


OTHER = {"module": "dagster_docker", "class": "DockerRunLauncher", "config": {"image": "ml:1"}}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {**OTHER, "module": "no_such_package.launcher"},
            "locations ml: launcher.module: no_such_package.launcher: cannot be imported",
        ),
        (
            {**OTHER, "class": "DockerRunner"},
            "launcher.class: DockerRunner: is no run launcher in dagster_docker",
        ),
        (
            {**OTHER, "config": {"imagge": "ml:1"}},
            'launcher.config: Received unexpected config entry "imagge"',
        ),
    ],
)
def test_a_mistake_in_another_launcher_is_refused_when_ours_loads(
    entry: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LauncherConfigError) as caught:
        loaded({"docker_hosts": [BETA], "locations": {"ml": {"launcher": entry}}})
    (problem,) = caught.value.problems
    assert sentence in problem


def test_a_location_has_hosts_or_another_launcher_and_not_both() -> None:
    with pytest.raises(LauncherConfigError) as caught:
        loaded({"docker_hosts": [BETA], "locations": {"etl": {"launcher": OTHER, "env_vars": ["A=1"]}}})
    both, more = caught.value.problems
    assert "an entry of docker_hosts names this location too" in both
    assert "put it into its config" in more


def test_another_launcher_is_not_built_before_a_run_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("built")

    monkeypatch.setattr("dagster_docker.DockerRunLauncher.__init__", refuse)
    settings = loaded({"docker_hosts": [BETA], "locations": {"ml": {"launcher": OTHER}}}).settings
    assert pool(settings, "ml") == ()
    assert nearest(settings, "mll") == "ml"


def test_another_distribution_of_the_same_import_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = {"dagster_multihost_launcher": ["dagfleet-launcher", "somebody-elses"]}
    monkeypatch.setattr(sole, "packages_distributions", lambda: providers)
    sole.intruders.cache_clear()
    with pytest.raises(
        LauncherConfigError, match="somebody-elses installs the same module as dagfleet-launcher"
    ):
        loaded({})
    monkeypatch.undo()
    sole.intruders.cache_clear()
    assert sole.intruders() == ()

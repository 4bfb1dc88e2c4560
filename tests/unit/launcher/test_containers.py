from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterRun
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster_multihost_launcher import environment as env
from dagster_multihost_launcher.errors import LaunchError, RunPostponed
from dagster_multihost_launcher.health import verdict
from dagster_multihost_launcher.image import belongs_to, image_of
from dagster_multihost_launcher.kwargs import create_arguments, merged
from dagster_multihost_launcher.launch import log_url
from dagster_multihost_launcher.pulling import refused
from dagster_multihost_launcher.settings import ContainerSettings, Host, Registry
from dagster_multihost_launcher.worker import Worker, container_name

from tests.unit.launcher.runs import create_run, instance_from, launcher_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DagsterRun:
    with instance_from(tmp_path_factory.mktemp("home"), launcher_config()) as instance:
        return create_run(instance, image="origin:1", location="etl")


def workspace(image: str | None) -> Any:
    """A workspace whose location reports an image."""
    return SimpleNamespace(get_code_location=lambda _: SimpleNamespace(container_image=image))


def image(run: DagsterRun, *, location: str | None, current: str | None, default: str | None) -> str:
    context = LaunchRunContext(dagster_run=run, workspace=workspace(current))
    return image_of(context, ContainerSettings(image=location), ContainerSettings(image=default))


def test_the_image_is_the_tags_then_the_locations_then_what_its_code_server_reports(run: DagsterRun) -> None:
    tagged = run.with_tags({"dagster/image": "tag:1\n"})
    assert image(tagged, location="location:1", current="current:1", default="default:1") == "tag:1"
    assert image(run, location="location:1", current="current:1", default="default:1") == "location:1"
    assert image(run, location=None, current="current:1", default="default:1") == "current:1"
    assert image(run, location=None, current=None, default="default:1") == "origin:1"


def test_a_run_for_which_nothing_names_an_image_is_refused_with_the_fix() -> None:
    context = LaunchRunContext(dagster_run=DagsterRun(job_name="nightly"), workspace=None)
    assert image_of(context, ContainerSettings(), ContainerSettings(image="default:1")) == "default:1"
    with pytest.raises(LaunchError, match="Set DAGSTER_CURRENT_IMAGE"):
        image_of(context, ContainerSettings(), ContainerSettings())


@pytest.mark.parametrize(
    ("image_name", "url", "belongs"),
    [
        ("registry.example.com/etl:1", "registry.example.com", True),
        ("registry.example.com/etl:1", "https://registry.example.com/v2/", True),
        ("registry.example.com:5000/etl:1", "registry.example.com", False),
        ("etl:1", "registry.example.com", False),
        ("etl:1", "https://index.docker.io/v1/", True),
        ("user/etl:1", "docker.io", True),
    ],
)
def test_credentials_go_to_their_own_registry_only(image_name: str, url: str, belongs: bool) -> None:
    assert belongs_to(image_name, Registry(url=url, username="u", password="p")) is belongs


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        ("manifest for etl:9 not found: manifest unknown", LaunchError),
        ("pull access denied for etl", LaunchError),
        ("dial tcp 10.0.0.9:443: connect: connection refused", RunPostponed),
        ("net/http: TLS handshake timeout", RunPostponed),
    ],
)
def test_a_refused_pull_is_final_only_if_no_retry_heals_it(fact: str, kind: type[Exception]) -> None:
    assert type(refused("beta", "etl:9", fact)) is kind


def test_layers_of_variables_override_each_other_from_files_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_file, host_file = tmp_path / "default.env", tmp_path / "host.env"
    default_file.write_text("# all hosts\nA=default file\nB=default file\nexport Q='a b'\n")
    host_file.write_text("B=host file\nC=host file\nE=host file\n")
    monkeypatch.setenv("FROM_LAUNCHER", "taken")
    result = env.environment(
        defaults=ContainerSettings(env_file=str(default_file), env_vars=("D=default", "E=default")),
        host=Host(
            name="beta",
            container=ContainerSettings(env_file=str(host_file), env_vars=("E=host", "FROM_LAUNCHER")),
        ),
        context=ContainerSettings(env_vars=("F=context", "G=context")),
        location=ContainerSettings(env_vars=("F=location", "DAGSTER_RUN_ID=forged")),
        inherited_variables={"C": "server"},
        job_name="nightly",
        run_id="r1",
    )
    assert result == {
        "A": "default file",
        "B": "host file",
        "C": "server",
        "D": "default",
        "E": "host",
        "F": "location",
        "G": "context",
        "Q": "a b",
        "FROM_LAUNCHER": "taken",
        "DAGSTER_RUN_JOB_NAME": "nightly",
        "DAGSTER_RUN_ID": "r1",
    }


def test_a_variable_that_the_launcher_lacks_is_named_with_the_fix() -> None:
    with pytest.raises(LaunchError, match=r"variable NO_SUCH_VARIABLE .* write KEY=VALUE in env_vars"):
        env.from_entries(["NO_SUCH_VARIABLE"])


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=re.escape(f"{tmp_path}/absent.env cannot be read: No such file")):
        env.from_file(f"{tmp_path}/absent.env")


def test_only_what_is_listed_is_inherited_from_the_code_server() -> None:
    asked: list[str] = []

    def inspect_container(name: str) -> dict[str, Any]:
        asked.append(name)
        return {
            "Config": {"Env": ["REGION=eu", "PASSWORD=hunter2"]},
            "NetworkSettings": {"Networks": {"shop_default": {}, "admin": {}, "metrics": {}}},
        }

    api: Any = SimpleNamespace(inspect_container=inspect_container)
    listed = Host(
        name="b",
        inherit_env_from_container="code-{location}",
        inherit_env_vars=("REGION", "NO"),
        inherit_networks=("*_default", "metrics"),
    )
    unlisted = Host(name="b", inherit_env_from_container="code-{location}")
    assert env.inherited(api, listed, "etl") == env.Inherited(
        variables={"REGION": "eu"}, networks=("metrics", "shop_default")
    )
    assert env.inherited(api, unlisted, "etl") == env.Inherited()
    assert asked == ["code-etl"]


def test_arguments_add_up_where_they_are_collections_and_else_the_last_wins() -> None:
    result = merged(
        {"volumes": {"/a": {"bind": "/a", "mode": "ro"}}, "mem_limit": "1g", "entrypoint": ["one", "two"]},
        {"volumes": ["/b:/b"], "mem_limit": "2g", "extra_hosts": {"x": "1.1.1.1"}, "labels": {"a": "1"}},
        {"entrypoint": ["three"], "extra_hosts": {"y": "2.2.2.2"}, "labels": ["b"]},
    )
    assert result == {
        "volumes": ["/a:/a:ro", "/b:/b"],
        "mem_limit": "2g",
        "entrypoint": ["three"],
        "extra_hosts": {"x": "1.1.1.1", "y": "2.2.2.2"},
        "labels": ["a=1", "b"],
    }


def test_arguments_become_those_of_the_docker_api() -> None:
    arguments = create_arguments(
        {"volumes": ["/a:/b:ro"], "ports": {"80/tcp": 8080}, "mem_limit": "1g", "user": "dagster"},
        networks=("one", "two"),
        version="1.41",
    )
    host_config = arguments["host_config"]
    assert host_config["Binds"] == ["/a:/b:ro"]
    assert host_config["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert host_config["Memory"] == 2**30
    assert host_config["NetworkMode"] == "one"
    assert arguments["ports"] == [("80", "tcp")]
    assert arguments["user"] == "dagster"


def test_a_name_is_made_from_run_and_attempt() -> None:
    assert container_name("0123456789abcdef", 3) == "dagster-run-01234567-3"


def worker(status: str, **state: Any) -> Worker:
    return Worker(
        host_name="beta",
        container_id="c0ffee",
        state={"Status": status, **state},
        config={},
        image_id="sha256:0",
        created="now",
    )


@pytest.mark.parametrize("status", ["created", "running", "restarting", "paused"])
def test_what_may_still_run_is_running(status: str) -> None:
    assert verdict(worker(status)).status == WorkerStatus.RUNNING


def test_lack_of_memory_signal_and_dockers_error_are_told() -> None:
    result = verdict(worker("exited", ExitCode=137, OOMKilled=True, Error="cgroup"), ["last words"])
    assert result.status == WorkerStatus.FAILED
    assert "exit code 137, killed by SIGKILL, out of memory" in str(result.msg)
    assert "Docker says: cgroup" in str(result.msg)
    assert str(result.msg).endswith("last words")


def test_a_log_url_gets_its_values_and_keeps_other_braces(run: DagsterRun) -> None:
    url = log_url('https://x/{run_id}?l={location}&h={host_name}&q={"a":1}&t={launch_ms}', run, "be ta")
    assert url.startswith(f'https://x/{run.run_id}?l=etl&h=be%20ta&q={{"a":1}}&t=1')

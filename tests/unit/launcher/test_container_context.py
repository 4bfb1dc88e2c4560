from __future__ import annotations

import sys
from typing import Any

import pytest
from dagster import DagsterRun
from dagster._core.code_pointer import FileCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_docker.container_context import DockerContainerContext
from dagster_multihost_launcher import container_context
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import Settings

# As dagster-docker's documentation has it, with what all launchers share beside it.
CONTEXT = {
    "env_vars": ["SHARED=1"],
    "docker": {
        "registry": {
            "url": "registry.example.com",
            "username": "puller",
            "password": {"env": "PULL_PASSWORD"},
        },
        "env_vars": ["REGION=eu", "FROM_LAUNCHER"],
        "networks": ["metrics"],
        "container_kwargs": {"volumes": ["/data:/data"], "mem_limit": "1g"},
    },
}


def run_with(context: dict[str, Any] | None) -> DagsterRun:
    return DagsterRun(
        job_name="nightly",
        job_code_origin=JobPythonOrigin(
            job_name="nightly",
            repository_origin=RepositoryPythonOrigin(
                executable_path=sys.executable,
                code_pointer=FileCodePointer("/nowhere/definitions.py", "defs", "/nowhere"),
                entry_point=["dagster"],
                container_context=context,
            ),
        ),
    )


def test_a_context_says_what_it_says_to_docker_run_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULL_PASSWORD", "hunter2")
    ours = container_context.read(run_with(CONTEXT), Settings())
    theirs = DockerContainerContext.create_for_run(run_with(CONTEXT), None)
    assert list(ours.container.env_vars) == list(theirs.env_vars)
    assert list(ours.container.networks) == list(theirs.networks)
    assert ours.container.container_kwargs == theirs.container_kwargs
    assert ours.registry is not None
    assert theirs.registry is not None
    assert (ours.registry.url, ours.registry.password) == (theirs.registry["url"], "hunter2")


@pytest.mark.parametrize("context", [None, {}, {"k8s": {"namespace": "jobs"}}])
def test_a_context_for_others_says_nothing_to_us(context: dict[str, Any] | None) -> None:
    assert container_context.read(run_with(context), Settings()).container.env_vars == ()


def test_a_context_that_does_not_fit_the_schema_is_refused_with_the_key() -> None:
    with pytest.raises(
        LaunchError, match=r'container_context of nightly.* is wrong under `docker`: .*"network"'
    ):
        container_context.read(run_with({"docker": {"network": "metrics"}}), Settings())


def test_an_argument_that_docker_would_refuse_is_refused_before() -> None:
    context = {"docker": {"container_kwargs": {"memlimit": "1g"}}}
    with pytest.raises(LaunchError, match=r"memlimit: '1g': is not accepted here; did you mean mem_limit\?"):
        container_context.read(run_with(context), Settings())


def test_a_context_can_be_ignored() -> None:
    assert container_context.read(run_with(CONTEXT), Settings(container_context="none")) is (
        container_context.NOTHING
    )


@pytest.mark.parametrize(
    ("context", "fact"),
    [
        ({"docker": {"networks": ["host"]}}, "may not set networks"),
        ({"docker": {"registry": CONTEXT["docker"]["registry"]}}, "may not set registry"),  # type: ignore[index]
        ({"env_vars": ["LAUNCHERS_OWN_SECRET"]}, "may not set env_vars LAUNCHERS_OWN_SECRET"),
        ({"docker": {"env_vars": ["LAUNCHERS_OWN_SECRET"]}}, "may not set env_vars LAUNCHERS_OWN_SECRET"),
        ({"docker": {"container_kwargs": {"privileged": True}}}, "may not set privileged"),
        ({"docker": {"container_kwargs": {"Privileged": True}}}, "may not set Privileged"),
        ({"docker": {"container_kwargs": {"volumes": ["/:/host"]}}}, "may not set volumes"),
    ],
)
def test_a_safe_context_reaches_neither_the_host_nor_the_launchers_secrets(
    context: dict[str, Any], fact: str
) -> None:
    with pytest.raises(LaunchError, match=fact):
        container_context.read(run_with(context), Settings(container_context="safe"))


def test_a_safe_context_may_limit_its_containers_and_set_variables() -> None:
    context = {"env_vars": ["A=1"], "docker": {"container_kwargs": {"mem_limit": "1g"}}}
    read = container_context.read(run_with(context), Settings(container_context="safe"))
    assert read.container.container_kwargs == {"mem_limit": "1g"}
    assert read.container.env_vars == ("A=1",)

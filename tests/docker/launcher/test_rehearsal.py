"""A trial container, made by the launcher as for a run, on a real dockerd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster_multihost_launcher.rehearsal import LABEL, rehearse
from docker import APIClient

from tests.docker.launcher import host_python

Load = Callable[..., DagsterInstance]
MISSING = "dagfleet-test-launcher-missing:1"


@pytest.fixture
def instance(fleet: Load, tmp_path: Path) -> DagsterInstance:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return fleet(
        host={
            "container_kwargs": host_python.kwargs(writable=(home,)),
            "env_vars": host_python.environment(),
        },
    )


def left(docker: APIClient) -> list[str]:
    return [each["Id"] for each in docker.containers(all=True, filters={"label": LABEL})]


def test_a_trial_opens_the_instance_as_a_worker_does_and_leaves_nothing(
    instance: DagsterInstance, image: str, docker: APIClient
) -> None:
    before = left(docker)
    [went] = rehearse(instance, {"beta": {"etl": image}})
    assert went.error is None, went
    assert (went.host, went.location) == ("beta", "etl")
    assert instance.get_runs_count() == 0
    assert left(docker) == before


def test_each_host_that_cannot_is_told_from_those_that_can(
    instance: DagsterInstance, image: str, docker: APIClient
) -> None:
    before = left(docker)
    well, sick = rehearse(instance, {"beta": {"etl": image, "ml": MISSING}})
    assert well.error is None
    assert MISSING in str(sick.error)
    [unknown] = rehearse(instance, {"gamma": {"etl": image}})
    assert "gamma" in str(unknown.error)
    assert left(docker) == before


def test_a_container_that_does_not_get_to_the_storage_shows_its_last_lines(
    fleet: Load, image: str, docker: APIClient
) -> None:
    before = left(docker)
    blind = fleet(
        host={"container_kwargs": {"entrypoint": ["sh", "-c", "echo no such database; exit 3", "-"]}}
    )
    [went] = rehearse(blind, {"beta": {"etl": image}})
    assert "ended with exit code 3" in str(went.error)
    assert list(went.lines) == ["no such database"]
    assert left(docker) == before

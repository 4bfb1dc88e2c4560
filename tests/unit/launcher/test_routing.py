from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterRun
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.reservations import may_hold_a_container
from dagster_multihost_launcher.routing import nearest, pool
from dagster_multihost_launcher.settings import Host, Settings
from dagster_multihost_launcher.worker import Record, record_of

from tests.unit.launcher.runs import create_run, instance_from, launcher_config, launching, messages

BETA = Host(name="beta", location_names=("etl",), max_runs=2)
GAMMA = Host(name="gamma", location_names=("etl", "ml"))
SETTINGS = Settings(hosts=(BETA, GAMMA))


def test_a_location_on_several_hosts_is_a_pool() -> None:
    assert [host.name for host in pool(SETTINGS, "etl")] == ["beta", "gamma"]
    assert [host.name for host in pool(SETTINGS, "ml")] == ["gamma"]
    assert pool(SETTINGS, "reporting") == ()


def test_a_mistyped_location_has_a_nearest_one() -> None:
    assert nearest(SETTINGS, "elt") == "etl"
    assert nearest(SETTINGS, "reporting") is None


def run_with(tags: dict[str, str], run_id: str = "0123456789abcdef") -> DagsterRun:
    return DagsterRun(job_name="nightly", run_id=run_id, tags=tags)


def test_a_record_survives_in_tags() -> None:
    record = Record(host_name="beta", container_id="c0ffee", attempt=2)
    assert record_of(run_with(record.tags("0123456789abcdef"))) == record


def test_a_record_inherited_from_a_re_executed_run_is_not_its_own() -> None:
    record = Record(host_name="beta", container_id="c0ffee", attempt=1)
    assert record_of(run_with(record.tags("fedcba9876543210"))) is None


@pytest.mark.parametrize("name", ["", "dagster-run-01234567-", "dagster-run-01234567-x", "nonsense"])
def test_a_damaged_record_is_none(name: str) -> None:
    tags = {**Record(host_name="beta", container_id="c", attempt=1).tags("0123456789abcdef")}
    assert record_of(run_with({**tags, "multihost_docker/container_name": name})) is None


def test_an_attempt_that_may_have_started_is_held_to_its_host_and_the_next_attempt_is_not() -> None:
    run = run_with(Record(host_name="gamma", container_id="c", attempt=1).tags("0123456789abcdef"))
    assert may_hold_a_container(run, 1, (BETA, GAMMA)) == [GAMMA]
    assert may_hold_a_container(run, 2, (BETA, GAMMA)) == []


def test_a_strict_launcher_refuses_an_unmapped_location_and_names_the_nearest(tmp_path: Path) -> None:
    host = {"host_name": "beta", "docker_url": "unix:///nowhere.sock", "location_names": ["etl"]}
    with instance_from(tmp_path, launcher_config(docker_hosts=[host], strict=True)) as instance:
        run = create_run(instance, location="elt")
        with pytest.raises(LaunchError, match=r"code location elt; did you mean etl\?"):
            instance.run_launcher.launch_run(launching(run))


def test_a_location_that_looks_mistyped_is_said_on_the_run_before_its_code_server_gets_it(
    tmp_path: Path,
) -> None:
    host = {"host_name": "beta", "docker_url": "unix:///nowhere.sock", "location_names": ["etl"]}
    with instance_from(tmp_path, launcher_config(docker_hosts=[host])) as instance:
        run = create_run(instance, location="elt")
        with pytest.raises(Exception, match="requires a workspace"):
            instance.run_launcher.launch_run(launching(run))
        assert "did you mean etl?" in messages(instance, run)

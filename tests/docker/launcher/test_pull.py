"""Images from a real registry that wants a login."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher.base import ResumeRunContext
from dagster_multihost_launcher.errors import LaunchError, RunPostponed
from dagster_multihost_launcher.worker import container_name
from docker import APIClient

from tests.docker.launcher.conftest import PREFIX
from tests.docker.launcher.registry import PASSWORD, Registry, registry
from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, messages, reloaded

Load = Callable[..., DagsterInstance]
PULL = "POST /v1.41/images/create"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def etl(shop: Registry, docker: APIClient, image: str) -> Iterator[str]:
    """The name of an image that the registry has and the daemon lacks."""
    reference = shop.holding(docker, image, "etl:1")
    yield reference
    shop.open.set()
    shop.forgotten(docker, reference)


def launch(instance: DagsterInstance, **run: Any) -> DagsterRun:
    created = create_run(instance, **run)
    instance.run_launcher.launch_run(launching(created))
    return reloaded(instance, created)


def container(docker: APIClient, run: DagsterRun, attempt: int = 1) -> dict[str, Any]:
    return dict(docker.inspect_container(container_name(run.run_id, attempt)))


def test_an_image_that_the_host_lacks_is_pulled_with_the_registrys_login_and_its_digest_recorded(
    fleet: Load, docker: APIClient, wire: Wire, shop: Registry, etl: str
) -> None:
    instance = fleet(host={"registry": shop.credentials})
    run = launch(instance, image=etl)
    digests = docker.inspect_image(etl)["RepoDigests"]
    recorded = run.tags["multihost_docker/image_digest"]
    name, _, digest = recorded.partition("@")
    assert name == etl
    assert f"{etl.rpartition(':')[0]}@{digest}" in digests
    assert container(docker, run)["Config"]["Image"] == recorded
    assert wire.requests.count(PULL) == 1
    assert not [request for request in wire.requests if request.endswith("/auth")]
    assert PASSWORD not in json.dumps(container(docker, run))


def test_a_registry_that_refuses_the_login_fails_the_launch_and_says_what_to_check(
    fleet: Load, etl: str
) -> None:
    instance = fleet()
    with pytest.raises(LaunchError, match=r"cannot get the image .* the registry's credentials"):
        launch(instance, image=etl)


def test_a_tag_that_the_registry_lacks_fails_the_launch(fleet: Load, shop: Registry) -> None:
    instance = fleet(host={"registry": shop.credentials})
    with pytest.raises(LaunchError, match=r"cannot get the image .*:9: .*(not found|unknown)"):
        launch(instance, image=f"{shop.address}/etl:9")


def test_runs_that_want_the_same_image_at_once_share_one_pull(
    fleet: Load, docker: APIClient, wire: Wire, shop: Registry, etl: str
) -> None:
    instance = fleet(host={"registry": shop.credentials})
    shop.open.clear()
    with ThreadPoolExecutor(3) as pool:
        launches = [pool.submit(launch, instance, image=etl) for _ in range(3)]
        until(lambda: PULL in wire.requests)
        until(lambda: threads_named("pull-") == 1 and len(waiting(instance)) == 3)
        shop.open.set()
        runs = [each.result(timeout=60) for each in launches]
    assert wire.requests.count(PULL) == 1
    assert {container(docker, run)["State"]["Status"] for run in runs} == {"running"}


def test_a_pull_says_how_it_goes_on_the_run(fleet: Load, shop: Registry, etl: str) -> None:
    instance = fleet(host={"registry": shop.credentials})
    shop.open.clear()
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(launch, instance, image=etl)
        until(lambda: waiting(instance))
        shop.open.set()
        said = messages(instance, begun.result(timeout=60))
    assert f"Pulling {etl} on beta: " in said
    assert "The image is here after" in said


def test_a_pull_that_takes_too_long_is_given_up_even_when_the_registry_says_nothing(
    fleet: Load, shop: Registry, etl: str
) -> None:
    instance = fleet(host={"registry": shop.credentials}, pull_timeout=1)
    shop.open.clear()
    with pytest.raises(
        LaunchError, match=r"Pulling .* on Docker host beta took longer than 1 s .*pull_timeout"
    ):
        launch(instance, image=etl)


def test_always_asks_the_registry_for_every_run_and_the_location_decides_before_its_host(
    fleet: Load, wire: Wire, shop: Registry, etl: str
) -> None:
    instance = fleet(
        host={"registry": shop.credentials, "pull_policy": "never"},
        locations={"etl": {"pull_policy": "always"}},
    )
    for _ in range(2):
        launch(instance, image=etl)
    assert wire.requests.count(PULL) == 2


def test_never_leaves_the_registry_alone(fleet: Load, wire: Wire, shop: Registry, etl: str) -> None:
    instance = fleet(host={"registry": shop.credentials, "pull_policy": "never"})
    with pytest.raises(LaunchError, match=r"beta does not have the image .*, and pull_policy is never"):
        launch(instance, image=etl)
    assert PULL not in wire.requests


def test_an_image_that_somebody_removed_meanwhile_is_pulled_again(
    fleet: Load, docker: APIClient, wire: Wire, shop: Registry, etl: str
) -> None:
    instance = fleet(host={"registry": shop.credentials})
    first = launch(instance, image=etl)
    docker.remove_container(container_name(first.run_id, 1), force=True)
    shop.forgotten(docker, etl)
    launch(instance, image=etl)
    assert wire.requests.count(PULL) == 2


def test_a_registry_outage_costs_only_runs_whose_image_is_not_there(
    fleet: Load, shop: Registry, image: str
) -> None:
    down = shop.address.replace(str(shop.port), "1")
    instance = fleet(host={"registry": {**shop.credentials, "url": down}})
    run = launch(instance, image=image)
    assert instance.run_launcher.check_run_worker_health(run).status.value == "RUNNING"
    with pytest.raises(RunPostponed):
        launch(instance, image=f"{down}/etl:1")
    assert instance.run_launcher.terminate(run.run_id)


def test_the_next_attempt_of_a_run_uses_the_very_image_of_the_first_even_if_its_name_means_another(
    fleet: Load, docker: APIClient, shop: Registry, etl: str, image: str
) -> None:
    instance = fleet(host={"registry": shop.credentials})
    run = launch(instance, image=etl)
    other = docker.commit(
        docker.create_container(image, command="dagster", labels={f"{PREFIX}/managed": "true"})["Id"]
    )["Id"]
    repository, _, tag = etl.rpartition(":")
    docker.tag(other, repository, tag, force=True)
    instance.run_launcher.resume_run(
        ResumeRunContext(dagster_run=run, workspace=None, resume_attempt_number=1)
    )
    assert container(docker, run, 2)["Image"] == docker.inspect_image(image)["Id"]


def waiting(instance: DagsterInstance) -> list[DagsterRun]:
    """Return the runs whose log says that their image is being pulled."""
    return [run for run in instance.get_runs() if "Pulling " in messages(instance, run)]


def threads_named(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)

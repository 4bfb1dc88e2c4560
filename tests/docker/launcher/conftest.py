"""A real dockerd: every container and network made here has our label or prefix, and is gone afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from docker import APIClient
from docker.errors import APIError

from tests.docker.launcher import tiny_image
from tests.docker.launcher.wire import Wire, counting
from tests.unit.launcher.runs import instance_from, launcher_config

PREFIX = f"dagfleet-test-launcher-{os.getpid()}x"  # two suites at once sweep nothing of each other
SOCKET = Path("/var/run/docker.sock")


@pytest.fixture(scope="session")
def docker() -> Iterator[APIClient]:
    client = APIClient(base_url=f"unix://{SOCKET}", version="1.41", timeout=30)
    yield client
    _sweep(client)
    client.close()


@pytest.fixture(scope="session")
def image(docker: APIClient) -> str:
    return tiny_image.ensure(docker)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with counting(SOCKET, tmp_path / "docker.sock") as wire:
        yield wire


@pytest.fixture
def fleet(
    tmp_path: Path, docker: APIClient, image: str, wire: Wire
) -> Iterator[Callable[..., DagsterInstance]]:
    """Load instances whose location `etl` runs on host `beta`, this machine's dockerd behind the wire."""
    del wire
    beta = {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
    }
    with ExitStack() as stack:

        def load(host: dict[str, Any] | None = None, **config: Any) -> DagsterInstance:
            config = {
                "docker_hosts": [{**beta, **(host or {})}],
                "container_label_prefix": PREFIX,
                "image": image,
                "stop_timeout": 1,
                "connect_timeout": 1,
                "read_timeout": 20,
                "retry_after_seconds": 1,
                **config,
            }
            return stack.enter_context(instance_from(tmp_path / "home", launcher_config(**config)))

        yield load
    _sweep(docker)


def _sweep(client: APIClient) -> None:
    for container in client.containers(all=True, filters={"label": f"{PREFIX}/managed"}):
        with suppress(APIError):  # a reaper's last visit may be at it
            client.remove_container(container["Id"], force=True, v=True)
    for network in client.networks(names=[PREFIX]):  # every network whose name contains it
        client.remove_network(network["Id"])

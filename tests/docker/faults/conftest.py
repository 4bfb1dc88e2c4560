"""A dockerd and instances of the launcher with a label prefix of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from docker import APIClient

from tests.docker.launcher import tiny_image
from tests.unit.launcher.runs import instance_from, launcher_config

SOCKET = Path("/var/run/docker.sock")
PREFIX = f"dagfleet-test-faults-{os.getpid()}"  # two suites at once sweep nothing of each other

QUEUE = {
    "run_coordinator": {
        "module": "dagster",
        "class": "QueuedRunCoordinator",
        "config": {"max_user_code_failure_retries": 1000, "user_code_failure_retry_delay": 1},
    }
}


@pytest.fixture
def docker() -> Iterator[APIClient]:
    client = APIClient(base_url=f"unix://{SOCKET}", version="1.41", timeout=60)
    yield client
    for container in client.containers(all=True, filters={"label": f"{PREFIX}/managed"}):
        client.remove_container(container["Id"], force=True, v=True)
    client.close()


@pytest.fixture
def load(tmp_path: Path, docker: APIClient) -> Iterator[Callable[..., DagsterInstance]]:
    """Load instances on the hosts of `docker_hosts`, with more of dagster.yaml in `instance`."""
    common = {
        "container_label_prefix": PREFIX,
        "image": tiny_image.ensure(docker),
        "network": "none",
        # A hundred workers that wait for signals in a loop would keep the machine busy.
        "container_kwargs": {"entrypoint": ["/bin/sh", "-c", "exec sleep 3600"]},
        "stop_timeout": 1,
        "connect_timeout": 1,
        "read_timeout": 10,
        "retry_after_seconds": 1,
    }
    with ExitStack() as stack:

        def loaded(instance: dict[str, Any] | None = None, **config: Any) -> DagsterInstance:
            config = {**launcher_config(**{**common, **config}), **QUEUE}
            return stack.enter_context(instance_from(tmp_path / "home", {**config, **(instance or {})}))

        yield loaded

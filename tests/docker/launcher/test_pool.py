from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster_multihost_launcher.errors import HostUnreachable, NoCapacity
from docker import APIClient

from tests.docker.launcher.conftest import PREFIX
from tests.unit.launcher.runs import create_run, launching, reloaded

Load = Callable[..., DagsterInstance]


@dataclass
class Dark:
    """A host that accepts connections and never answers, or hangs up."""

    listener: socket.socket
    connections: list[socket.socket] = field(default_factory=list)
    hangs_up: bool = False

    @property
    def host(self) -> dict[str, Any]:
        return {
            "host_name": "dark",
            "docker_url": f"tcp://127.0.0.1:{self.listener.getsockname()[1]}",
            "insecure": True,
            "location_names": ["etl"],
        }

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self.listener.accept()[0])
                if self.hangs_up:
                    self.connections[-1].close()

    def end(self) -> None:
        for each in (self.listener, *self.connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def dark() -> Iterator[Dark]:
    dark = Dark(socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=dark.accept, daemon=True).start()
    yield dark
    dark.end()


def beta(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "host_name": "beta",
        "docker_url": f"unix://{tmp_path}/docker.sock",
        "location_names": ["etl"],
        "network": "none",
        **more,
    }


def host_of(instance: DagsterInstance) -> str:
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    return reloaded(instance, run).tags["multihost_docker/host_name"]


def test_runs_of_a_pool_go_to_the_host_with_the_fewest(fleet: Load, tmp_path: Path) -> None:
    instance = fleet(docker_hosts=[beta(tmp_path), beta(tmp_path, host_name="gamma")])
    assert [host_of(instance) for _ in range(4)] == ["beta", "gamma", "beta", "gamma"]


def test_a_dark_host_of_a_pool_hands_its_runs_to_the_next_one(
    fleet: Load, tmp_path: Path, dark: Dark
) -> None:
    dark.hangs_up = True
    instance = fleet(docker_hosts=[dark.host, beta(tmp_path)], retry_after_seconds=600)
    assert host_of(instance) == "beta"
    asked = len(dark.connections)
    assert host_of(instance) == "beta"
    assert len(dark.connections) == asked  # it is left alone now: no time-out is waited for


def test_a_location_on_a_dark_host_alone_is_handed_back_with_reason_and_time(fleet: Load, dark: Dark) -> None:
    instance = fleet(docker_hosts=[dark.host], read_timeout=2)
    with pytest.raises(HostUnreachable) as caught:
        host_of(instance)
    assert "Docker host dark is unreachable" in caught.value.reason
    assert caught.value.retry_after_seconds == 1


def test_a_full_host_hands_the_run_back_and_has_room_when_one_ends(fleet: Load, docker: APIClient) -> None:
    instance = fleet(host={"max_runs": 1})
    first = create_run(instance)
    instance.run_launcher.launch_run(launching(first))
    with pytest.raises(NoCapacity, match=r"no host has room: beta \(max_runs 1\)"):
        host_of(instance)
    instance.report_run_canceled(reloaded(instance, first))
    assert host_of(instance) == "beta"
    assert len(docker.containers(all=True, filters={"label": f"{PREFIX}/managed"})) == 2


def test_a_launch_that_waits_for_a_dark_host_holds_up_no_launch_on_another(
    fleet: Load, tmp_path: Path, dark: Dark
) -> None:
    alone = {**dark.host, "location_names": ["ml"], "max_runs": 5}
    instance = fleet(docker_hosts=[alone, beta(tmp_path, max_runs=5)], read_timeout=60)
    in_the_dark = create_run(instance, location="ml")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(instance.run_launcher.launch_run, launching(in_the_dark))
        assert [host_of(instance) for _ in range(2)] == ["beta", "beta"]
        assert not waiting.done()
        dark.end()
        with pytest.raises(HostUnreachable):
            waiting.result(timeout=60)

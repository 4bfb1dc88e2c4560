from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable
from contextlib import closing

import pytest
from dagster import DagsterInstance

from tests.docker.launcher.wire import Wire
from tests.unit.launcher.runs import create_run, launching, reloaded

Load = Callable[..., DagsterInstance]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def test_a_scrape_tells_launches_reaps_and_what_each_host_carries(fleet: Load, wire: Wire) -> None:
    port = free_port()
    instance = fleet(
        host={"max_runs": 5},
        metrics={"port": port},
        reaper={"keep_failed_hours": 0.0},
        read_timeout=10,
    )
    first, second = create_run(instance), create_run(instance)
    for run in (first, second):
        instance.run_launcher.launch_run(launching(run))
    seen = scraped(port)
    assert seen['multihost_launch_seconds_count{host="beta"}'] == 2
    assert (seen['multihost_runs_running{host="beta"}'], seen['multihost_runs_free{host="beta"}']) == (2, 3)
    assert seen['multihost_breaker{host="beta",state="closed"}'] == 1

    instance.run_launcher.terminate(first.run_id)
    instance.run_launcher.join(30)
    assert reloaded(instance, first).is_finished
    instance.run_launcher.reaper.look(sweep=True, wait_seconds=30)
    seen = scraped(port)
    assert seen['multihost_reaps_total{host="beta",what="removed"}'] == 1
    assert seen['multihost_host_up{host="beta"}'] == 1
    assert seen['multihost_runs_free{host="beta"}'] == 4

    wire.silent_on = ("GET",)
    instance.run_launcher.reaper.look(sweep=True, wait_seconds=30)
    seen = scraped(port)
    assert seen['multihost_host_up{host="beta"}'] == 0
    assert seen['multihost_breaker{host="beta",state="closed"}'] == 0


def test_a_port_that_is_taken_costs_the_metrics_and_no_run(
    fleet: Load, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        instance = fleet(metrics={"port": port})
        run = create_run(instance)
        instance.run_launcher.launch_run(launching(run))
    assert "multihost_docker/container_id" in reloaded(instance, run).tags
    assert f"No metrics: 127.0.0.1 port {port} cannot be used" in caplog.text

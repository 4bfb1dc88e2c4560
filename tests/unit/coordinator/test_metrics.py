from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from urllib.request import urlopen

import pytest
from clt_queued_run_coordinator.metrics.observer import PrometheusObserver
from clt_queued_run_coordinator.metrics.server import observer_of
from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon
from clt_queued_run_coordinator.queue.observer import Observer, Silent
from dagster import DagsterInstance, DagsterRunStatus
from prometheus_client import generate_latest

from tests.unit.coordinator.conftest import Load
from tests.unit.coordinator.test_tags import submitted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def observing(instance: DagsterInstance) -> Iterator[Observer]:
    observer, stop = observer_of(instance)
    try:
        yield observer
    finally:
        stop()


def page(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read(), "utf-8")


def test_what_the_queue_tells_is_on_the_page() -> None:
    observer = PrometheusObserver(lambda: {"max_queue_size": 4})
    observer.depth(queued={("etl", 10): 3, (None, 0): 1}, active=2)
    observer.launched(location="etl", priority=10, waited=3)
    observer.launch_failed(location="etl")
    observer.requeued(location="etl", cause="postponed")
    observer.expired(location="etl")
    observer.passed(seconds=0.004, launched=5)
    observer.woken(latency=0.02)
    observer.leading(leads=True)
    lines = generate_latest(observer.registry).decode().splitlines()
    for line in (
        'dagster_queue_depth{location="etl",priority="10"} 3.0',
        'dagster_queue_depth{location="__unknown__",priority="0"} 1.0',
        "dagster_queue_active 2.0",
        'dagster_queue_wait_seconds_bucket{le="5.0",location="etl",priority="10"} 1.0',
        'dagster_queue_wait_seconds_bucket{le="1.0",location="etl",priority="10"} 0.0',
        'dagster_queue_launches_total{location="etl"} 1.0',
        'dagster_queue_launch_failures_total{location="etl"} 1.0',
        'dagster_queue_requeues_total{cause="postponed",location="etl"} 1.0',
        'dagster_queue_expired_total{location="etl"} 1.0',
        'dagster_queue_pass_seconds_bucket{le="0.005"} 1.0',
        'dagster_queue_wake_seconds_bucket{le="0.025"} 1.0',
        "dagster_queue_leader 1.0",
        'dagster_queue_refusals_total{limit="max_queue_size"} 4.0',
    ):
        assert line in lines


def test_a_location_without_queued_runs_is_not_listed_any_more() -> None:
    observer = PrometheusObserver(dict)
    observer.depth(queued={("etl", 0): 3}, active=0)
    observer.depth(queued={}, active=0)
    assert 'location="etl"' not in generate_latest(observer.registry).decode()


def test_metrics_are_served_where_the_configuration_says_and_not_after_the_daemon_ends(
    deployment: Load,
) -> None:
    port = free_port()
    context = deployment(metrics={"port": port}, admission={"max_queue_size": 1})
    submitted(context)
    assert submitted(context).status == DagsterRunStatus.FAILURE
    with observing(context.instance) as observer:
        observer.leading(leads=True)
        shown = page(port)
    assert "dagster_queue_leader 1.0" in shown
    assert 'dagster_queue_refusals_total{limit="max_queue_size"} 1.0' in shown
    with pytest.raises(OSError, match="refused"):
        page(port)


def test_the_queue_daemon_serves_what_it_does(deployment: Load) -> None:
    port = free_port()
    context = deployment(metrics={"port": port})
    submitted(context)
    shutdown = Event()
    with FleetQueueDaemon(interval_seconds=1) as daemon:
        loop = daemon.core_loop(context, shutdown)
        deadline = time.monotonic() + 60
        shown = ""
        while 'dagster_queue_launches_total{location="etl"} 1.0' not in shown:
            assert time.monotonic() < deadline, shown
            next(loop)
            shown = page(port)
        shutdown.set()
        loop.close()


def test_nothing_is_measured_without_configuration(deployment: Load) -> None:
    with observing(deployment().instance) as observer:
        assert isinstance(observer, Silent)


def test_a_taken_port_is_reported_and_stops_nothing(
    deployment: Load, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            caplog.at_level(logging.ERROR),
            observing(deployment(metrics={"port": port}).instance) as observer,
        ):
            observer.leading(leads=True)
    assert f"Metrics are not served: 127.0.0.1:{port}: Address already in use" in caplog.text

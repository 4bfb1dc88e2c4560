"""Prometheus metrics of the daemon's launcher, and the small server that shows them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dagster_multihost_launcher.breaker import STATES
from dagster_multihost_launcher.settings import MetricsAddress

logger = logging.getLogger("dagster.multihost_launcher")

_LAUNCH_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 600)
_PULL_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, kw_only=True)
class HostState:
    """A host as a scrape shows it. `up` is None until it was asked; `free` is None without `max_runs`."""

    name: str
    up: bool | None
    breaker: str
    running: int
    free: int | None


class Metrics:
    """What is measured as it happens; the state of the hosts is asked for at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._launches = Histogram(
            "multihost_launch_seconds",
            "Time to create and start a run's container, a pull included.",
            ["host"],
            buckets=_LAUNCH_SECONDS,
            registry=self._registry,
        )
        self._pulls = Histogram(
            "multihost_pull_seconds",
            "Time to pull an image.",
            ["host"],
            buckets=_PULL_SECONDS,
            registry=self._registry,
        )
        self._reaps = Counter(
            "multihost_reaps",
            "Containers that the reaper removed, stopped or killed.",
            ["host", "what"],
            registry=self._registry,
        )
        self._server: Callable[[], None] | None = None

    def launch(self, host_name: str) -> AbstractContextManager[object]:
        """Measure a launch, whether it succeeds or not."""
        return self._launches.labels(host_name).time()

    def pull(self, host_name: str) -> AbstractContextManager[object]:
        """Measure a pull, whether it succeeds or not."""
        return self._pulls.labels(host_name).time()

    def reaped(self, host_name: str, done: Mapping[str, int]) -> None:
        """Count what a sweep did."""
        for what in ("removed", "stopped", "killed"):
            self._reaps.labels(host_name, what).inc(done.get(what, 0))

    def serve(self, address: MetricsAddress, hosts: Callable[[], Iterable[HostState]]) -> None:
        """Serve them, once. An address that is taken costs the metrics, not the runs."""
        if self._server:
            return
        self._registry.register(_HostStates(hosts))
        try:
            server, _ = start_http_server(address.port, addr=address.host, registry=self._registry)
        except OSError as error:
            logger.warning(
                "No metrics: %s port %s cannot be used (%s). Set run_launcher's metrics.port to a free one.",
                address.host,
                address.port,
                error.strerror,
            )
            return

        def close() -> None:
            server.shutdown()
            server.server_close()

        self._server = close

    def close(self) -> None:
        """Stop serving."""
        server, self._server = self._server, None
        if server:
            server()


class _HostStates(Collector):
    def __init__(self, hosts: Callable[[], Iterable[HostState]]) -> None:
        self._hosts = hosts

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing about the names, so that registering asks no storage."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask now."""
        up = GaugeMetricFamily("multihost_host_up", "1 if the host answered last time.", labels=["host"])
        running = GaugeMetricFamily("multihost_runs_running", "Unfinished runs on it.", labels=["host"])
        free = GaugeMetricFamily("multihost_runs_free", "max_runs minus those.", labels=["host"])
        breaker = GaugeMetricFamily(
            "multihost_breaker", "1 for the state that its breaker is in.", labels=["host", "state"]
        )
        for host in self._hosts():
            if host.up is not None:
                up.add_metric([host.name], host.up)
            running.add_metric([host.name], host.running)
            if host.free is not None:
                free.add_metric([host.name], host.free)
            for state in STATES:
                breaker.add_metric([host.name, state], state == host.breaker)
        yield from (up, running, free, breaker)

"""Keeps what the queue tells in Prometheus metrics."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

# Seconds: from a wake on an idle machine to a run that waits for a day.
_WAITS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_BATCHES = (1, 5, 10, 25, 50)
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
NO_LOCATION = "__unknown__"


class PrometheusObserver:
    """Implements the queue's `Observer` in a registry of its own.

    `refusals` counts refused runs by limit: web servers refuse them, so only storage knows of all.
    """

    def __init__(self, refusals: Callable[[], Mapping[str, int]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Refusals(refusals))
        self._depth = _Depth()
        self.registry.register(self._depth)
        self._active = self._gauge("active", "Runs that hold slots: STARTING, STARTED or CANCELING.")
        self._leads = self._gauge("leader", "1 while this process leads the queue, else 0.")
        self._waited = self._histogram(
            "wait_seconds", "From queueing to launch.", _WAITS, "location", "priority"
        )
        self._passes = self._histogram("pass_seconds", "One selection with its claims.", _QUICK)
        self._claims = self._histogram("pass_claims", "Runs that one pass claimed.", _BATCHES)
        self._wakes = self._histogram(
            "wake_seconds", "From a notification to the pass that it asks for.", _QUICK
        )
        self._launches = self._counter("launches", "Runs handed to their launcher.", "location")
        self._failures = self._counter("launch_failures", "Runs whose launcher failed for good.", "location")
        self._requeues = self._counter("requeues", "Runs that went back to the queue.", "location", "cause")
        self._expired = self._counter("expired", "Runs that waited for too long.", "location")
        self._leads.set(0)

    def launched(self, *, location: str | None, priority: int, waited: float) -> None:
        """A run was handed to its launcher."""
        self._launches.labels(location or NO_LOCATION).inc()
        self._waited.labels(location or NO_LOCATION, str(priority)).observe(waited)

    def launch_failed(self, *, location: str | None) -> None:
        """A launcher failed for good."""
        self._failures.labels(location or NO_LOCATION).inc()

    def requeued(self, *, location: str | None, cause: str) -> None:
        """A run went back to the queue."""
        self._requeues.labels(location or NO_LOCATION, cause).inc()

    def expired(self, *, location: str | None) -> None:
        """A run waited for longer than it may."""
        self._expired.labels(location or NO_LOCATION).inc()

    def passed(self, *, seconds: float, launched: int) -> None:
        """One pass is over."""
        self._passes.observe(seconds)
        self._claims.observe(launched)

    def woken(self, *, latency: float) -> None:
        """A pass began `latency` seconds after its first notification."""
        self._wakes.observe(latency)

    def leading(self, *, leads: bool) -> None:
        """This process leads now, or does not any more."""
        self._leads.set(1 if leads else 0)

    def depth(self, *, queued: Mapping[tuple[str | None, int], int], active: int) -> None:
        """How many runs wait, by location and priority, and how many are active."""
        self._depth.queued = queued
        self._active.set(active)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"dagster_queue_{name}", text, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"dagster_queue_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"dagster_queue_{name}", text, labels, buckets=buckets, registry=self.registry)


class _Depth(Collector):
    """How many runs wait; a location that has none any more is not listed."""

    def __init__(self) -> None:
        self.queued: Mapping[tuple[str | None, int], int] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("dagster_queue_depth", "Queued runs.", labels=["location", "priority"])
        for (location, priority), count in self.queued.items():
            family.add_metric([location or NO_LOCATION, str(priority)], count)
        yield family


class _Refusals(Collector):
    """How many runs were refused, read when somebody asks."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "dagster_queue_refusals", "Runs that admission refused.", labels=["limit"]
        )
        for limit, count in self._read().items():
            family.add_metric([limit], count)
        yield family

    def describe(self) -> list[CounterMetricFamily]:
        """Describe nothing, so that registering does not read."""
        return []

"""Serves the page /metrics where the configuration says so."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping

from dagster import DagsterInstance, RunsFilter
from prometheus_client import start_http_server
from sqlalchemy import text

from clt_queued_run_coordinator.admission.verdict import REFUSED_TAG, limit_named_in
from clt_queued_run_coordinator.metrics.observer import PrometheusObserver
from clt_queued_run_coordinator.queue.observer import Observer, Silent
from clt_queued_run_coordinator.storage import pool

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

_REFUSED = text("select value from run_tags where key = :key")


def observer_of(instance: DagsterInstance) -> tuple[Observer, Callable[[], None]]:
    """Return the observer that the coordinator's configuration asks for, and what stops serving it.

    A port that cannot be had is reported and nothing more: the queue matters more than its metrics.
    """
    settings = getattr(getattr(instance.run_coordinator, "extensions", None), "metrics", None)
    if settings is None:
        return Silent(), lambda: None
    observer = PrometheusObserver(lambda: _refusals(instance))
    where = f"{settings.host}:{settings.port}"
    try:
        server, thread = start_http_server(settings.port, settings.host, observer.registry)
    except OSError as error:
        logger.error(
            "Metrics are not served: %s: %s. Set metrics.port to a free port.", where, error.strerror
        )
        return observer, lambda: None
    logger.info("Metrics: http://%s/metrics", where)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return observer, stop


def _refusals(instance: DagsterInstance) -> Mapping[str, int]:
    engine = pool.engine(instance)
    if engine is None:
        runs = instance.get_run_tags([REFUSED_TAG])
        reasons = [(value, instance.get_runs_count(RunsFilter(tags={key: value})))
                   for key, values in runs for value in values if value]  # fmt: skip
    else:
        with engine.connect() as connection:
            reasons = [(row.value, 1) for row in connection.execute(_REFUSED, {"key": REFUSED_TAG})]
    counted: Counter[str] = Counter()
    for reason, times in reasons:
        counted[limit_named_in(reason)] += times
    return counted

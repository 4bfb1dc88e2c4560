"""How our queue daemon takes the place of Dagster's, under our command and under `dagster-daemon run`."""

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import dagster
from dagster import DagsterInstance
from dagster._daemon import controller
from dagster._daemon.daemon import DagsterDaemon

from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon

logger = logging.getLogger("dagster.run_coordinator.clt_queued_run_coordinator")

SUPPORTED = ("1.12.", "1.13.")
_STOCK = "QueuedRunCoordinatorDaemon"


def objection() -> str | None:
    """Return why this Dagster's queue daemon cannot be replaced, None if it can.

    Looks at what the replacement relies on: the version, the name that the controller creates the daemon by,
    the daemon's parameters and its type.
    """
    if not dagster.__version__.startswith(SUPPORTED):
        return f"Dagster {dagster.__version__} is not 1.12 or 1.13"
    stock: Any = getattr(controller, _STOCK, None)
    if not isinstance(stock, type):
        return f"dagster._daemon.controller has no {_STOCK}"
    if stock is FleetQueueDaemon:
        return None
    parameters = list(inspect.signature(stock).parameters)
    if parameters != ["interval_seconds", "page_size"]:
        return f"{_STOCK} takes {', '.join(parameters)}"
    daemon_type = getattr(stock, "daemon_type", str)()
    if daemon_type != FleetQueueDaemon.daemon_type():
        return f"{_STOCK} has the type {daemon_type!r}"
    return None


def replace_in_controller() -> bool:
    """Let an unmodified `dagster-daemon run` create our queue daemon; say whether it will.

    Called when a coordinator of ours gets its instance, which is before the controller makes its daemons.
    """
    why_not = objection()
    if why_not:
        logger.warning("Dagster's own queue daemon runs, not ours: %s.", why_not)
        return False
    setattr(controller, _STOCK, FleetQueueDaemon)
    return True


def daemons(instance: DagsterInstance) -> Iterator[DagsterDaemon[Any]]:
    """Make the instance's daemons with ours in the place of Dagster's queue daemon."""
    for daemon_type in instance.get_required_daemon_types():
        if daemon_type == FleetQueueDaemon.daemon_type():
            coordinator: Any = instance.run_coordinator
            yield FleetQueueDaemon(interval_seconds=coordinator.dequeue_interval_seconds)
        else:
            yield controller.create_daemon_of_type(daemon_type, instance)

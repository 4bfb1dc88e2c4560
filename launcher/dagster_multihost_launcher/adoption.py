"""Runs whose launch the previous daemon began and did not end: taken over, or handed back."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    DagsterEvent,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    QueuedRunCoordinator,
    RunsFilter,
)

from dagster_multihost_launcher.errors import HostUnreachable, RunPostponed
from dagster_multihost_launcher.worker import Worker

logger = logging.getLogger("dagster.multihost_launcher")

_START_TIME = 22 - 3  # proc(5): field 22, and what follows the command's name begins with field 3


@dataclass(frozen=True, kw_only=True)
class Means:
    """How to find a run's container and to launch a run again; `ours` says whether it is in a container."""

    ours: Callable[[DagsterRun], bool]
    find: Callable[[DagsterRun], Worker | None]
    launch: Callable[[DagsterRun], None]
    retry_after_seconds: float


class Adoption:
    """Looks once, when the daemon starts, at the runs that are STARTING since before that.

    To launch such a run again is safe at every step at which the first launch may have been cut off: a
    container that runs is taken over by its name, one that was only created is replaced, and if there is none
    it is made. Workers that have already ended are left to the reaper, which fails their runs.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._closing = threading.Event()

    def begin(self, instance: DagsterInstance) -> None:
        """Adopt in a thread, which stays as long as a host that may have a container does not answer."""
        threading.Thread(
            target=self._until_done, args=(instance,), name="multihost-adoption", daemon=True
        ).start()

    def close(self) -> None:
        """Stop trying."""
        self._closing.set()

    def left_behind(self, instance: DagsterInstance) -> Sequence[str]:
        """Return the ids of the runs to look at.

        Without a queue, other processes launch, and one of them may be at it this very moment.
        """
        if not isinstance(instance.run_coordinator, QueuedRunCoordinator):
            return []
        began = process_began()
        records = instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
        return [
            record.dagster_run.run_id
            for record in records
            if record.update_timestamp.timestamp() < began and self._means.ours(record.dagster_run)
        ]

    def adopt(self, instance: DagsterInstance, run_id: str) -> None:
        """Bring one run forward.

        Raises:
            HostUnreachable: a host that may have its container does not answer.
        """
        run = instance.get_run_by_id(run_id)
        if run is None or run.status != DagsterRunStatus.STARTING:
            return
        worker = self._means.find(run)
        if worker and not worker.alive and worker.status != "created":
            return
        instance.report_engine_event(
            "The daemon started again while this run was being launched; the launch goes on.", run
        )
        try:
            self._means.launch(run)
        except RunPostponed as error:
            _requeue(instance, run_id, error.reason)
        except Exception as error:
            logger.exception("Run %s could not be adopted", run_id)
            now = _if_starting(instance, run_id)
            if now:
                instance.report_run_failed(now, f"Its launch was cut off and cannot be repeated: {error}")

    def _until_done(self, instance: DagsterInstance) -> None:
        left = list(self.left_behind(instance))
        while left and not self._closing.is_set():
            left = [run_id for run_id in left if not self._adopted(instance, run_id)]
            if left:
                self._closing.wait(self._means.retry_after_seconds)

    def _adopted(self, instance: DagsterInstance, run_id: str) -> bool:
        try:
            self.adopt(instance, run_id)
        except HostUnreachable as error:
            logger.warning("Run %s waits to be adopted: %s", run_id, error.reason)
            return False
        except Exception:
            logger.exception("Run %s could not be looked at", run_id)
        return True


def process_began() -> float:
    """Return when this process started, in seconds since the epoch; 0 where /proc does not say.

    Not when the launcher was built: Dagster does that for the first launch, whose run is STARTING by then.
    """
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks_after_boot = int(fields[_START_TIME])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks_after_boot / os.sysconf("SC_CLK_TCK")


def _requeue(instance: DagsterInstance, run_id: str, reason: str) -> None:
    run = _if_starting(instance, run_id)
    if run:
        instance.report_engine_event(f"Its launch was cut off and cannot go on now: {reason}", run)
        instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run_id)


def _if_starting(instance: DagsterInstance, run_id: str) -> DagsterRun | None:
    run = instance.get_run_by_id(run_id)
    return run if run and run.status == DagsterRunStatus.STARTING else None

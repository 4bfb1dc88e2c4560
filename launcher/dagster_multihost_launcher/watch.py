"""Runs that only somebody else can bring forward: those whose worker died while STARTING, and CANCELING."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord
from dagster._core.launcher.base import WorkerStatus

from dagster_multihost_launcher import health
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.termination import Terminations, grace_of
from dagster_multihost_launcher.worker import Worker

_ITS_CANCELER_IS_AT_IT = 5.0  # seconds; whoever canceled it ends it too, unless that process is gone


class Launching:
    """The runs that this process is launching now: their containers come and go for good reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run_ids: set[str] = set()

    @contextmanager
    def of(self, run_id: str) -> Iterator[None]:
        """Count the run as being launched."""
        with self._lock:
            self._run_ids.add(run_id)
        try:
            yield
        finally:
            with self._lock:
                self._run_ids.discard(run_id)

    def __contains__(self, run_id: object) -> bool:
        with self._lock:
            return run_id in self._run_ids


class Watcher:
    """Looks after single runs. Dagster's run monitoring does not ask for the health of STARTING runs."""

    def __init__(
        self,
        *,
        find: Callable[[DagsterRun], Worker | None],
        launching: Launching,
        terminations: Terminations,
    ) -> None:
        self._find = find
        self._launching = launching
        self._terminations = terminations

    def look(self, instance: DagsterInstance, record: RunRecord, connection: HostConnection) -> None:
        """Look after one run whose container is, or was to be, on this host.

        Raises:
            HostUnreachable: the host does not answer.
        """
        run = record.dagster_run
        if run.run_id in self._launching:
            return
        quiet = time.time() - record.update_timestamp.timestamp()
        worker = self._find(run)
        if run.status == DagsterRunStatus.STARTING:
            self._starting(instance, run, worker, connection, quiet)
        elif run.status == DagsterRunStatus.CANCELING and not self._terminations.under_way(run.run_id):
            self._canceling(instance, run, worker, quiet)

    def _starting(
        self,
        instance: DagsterInstance,
        run: DagsterRun,
        worker: Worker | None,
        connection: HostConnection,
        quiet: float,
    ) -> None:
        if worker is None and quiet < _ITS_CANCELER_IS_AT_IT:
            return  # another process may be launching it
        judged = health.verdict(worker)
        if judged.status != WorkerStatus.FAILED:
            return
        if worker:
            judged = health.verdict(worker, health.last_lines(connection, worker))
        now = instance.get_run_by_id(run.run_id)
        if now and now.status == DagsterRunStatus.STARTING and run.run_id not in self._launching:
            instance.report_run_failed(now, f"The run's worker died before the run started. {judged.msg}")

    def _canceling(
        self, instance: DagsterInstance, run: DagsterRun, worker: Worker | None, quiet: float
    ) -> None:
        # A second SIGTERM would interrupt the worker while it cleans up after the first.
        patience = _ITS_CANCELER_IS_AT_IT + (grace_of(worker) if worker and worker.alive else 0)
        if quiet >= patience:
            self._terminations.begin(instance, run.run_id, lambda: self._find(run), caller_waits=0)

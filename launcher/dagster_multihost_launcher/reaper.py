"""The daemon's thread that looks after runs and containers whom nobody else looks after."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter
from docker.errors import APIError

from dagster_multihost_launcher.absence import Absences
from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.settings import Reaping
from dagster_multihost_launcher.sweep import Sweeper
from dagster_multihost_launcher.watch import Watcher

logger = logging.getLogger("dagster.multihost_launcher")

_NEED_A_LOOK = [DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]


class Reaper:
    """Looks at runs every few seconds and at all containers every minute, at each host in its own thread.

    A host that does not answer holds up nothing but its own thread. Several reapers, for instance of two
    daemons, do no harm: each looks again before it acts, and to act twice is to act once.
    """

    def __init__(
        self,
        settings: Reaping,
        hosts: Hosts,
        *,
        instance: Callable[[], DagsterInstance | None],
        hosts_of: Callable[[DagsterRun], Sequence[str]],
        watcher: Watcher,
        sweepers: Mapping[str, Sweeper],
        absences: Absences,
        at_start: Callable[[], None] | None = None,
        reaped: Callable[[str, Mapping[str, int]], None] | None = None,
    ) -> None:
        self._settings = settings
        self._hosts = hosts
        self._instance = instance
        self._hosts_of = hosts_of
        self._watcher = watcher
        self._sweepers = sweepers
        self._absences = absences
        self._at_start = at_start
        self._reaped = reaped
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._visits: dict[str, threading.Thread] = {}
        self._next_sweep = 0.0

    def start(self) -> None:
        """Start the thread, if it is wanted and not running yet."""
        with self._lock:
            if self._settings.enabled and self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._work, name="multihost-reaper", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop looking. A visit to a host that does not answer ends by itself."""
        self._stopping.set()

    def begin_work(self) -> None:
        """Do what is due once in a process: see to the launches that an earlier daemon did not finish."""
        if self._at_start:
            self._safely(self._at_start)

    def look(self, *, sweep: bool, wait_seconds: float = 0.0) -> None:
        """Look once at the runs, with `sweep` at all containers too; wait for hosts that answer in time."""
        instance = self._instance()
        if instance is None:
            self._stopping.set()
            return
        stuck: dict[str, list[RunRecord]] = defaultdict(list)
        for record in instance.get_run_records(RunsFilter(statuses=_NEED_A_LOOK)):
            for host_name in self._hosts_of(record.dagster_run):
                stuck[host_name].append(record)
        begun = [
            self._begin_visit(instance, connection, stuck[connection.name], sweep=sweep)
            for connection in self._hosts
            if sweep or stuck[connection.name] or self._absences.of(connection.name)
        ]
        deadline = time.monotonic() + wait_seconds
        for visit in begun:
            visit.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        self.begin_work()
        while not self._stopping.wait(self._settings.watch_seconds):
            sweep = time.monotonic() >= self._next_sweep
            if sweep:
                self._next_sweep = time.monotonic() + self._settings.sweep_seconds
            self._safely(lambda sweep=sweep: self.look(sweep=sweep))  # type: ignore[misc]

    def _begin_visit(
        self,
        instance: DagsterInstance,
        connection: HostConnection,
        stuck: Sequence[RunRecord],
        *,
        sweep: bool,
    ) -> threading.Thread:
        last = self._visits.get(connection.name)
        if last and last.is_alive():
            return last
        visit = threading.Thread(
            target=self._safely,
            args=(lambda: self._visit(instance, connection, stuck, sweep=sweep),),
            name=f"multihost-visit-{connection.name}",
            daemon=True,
        )
        self._visits[connection.name] = visit
        visit.start()
        return visit

    def _visit(
        self,
        instance: DagsterInstance,
        connection: HostConnection,
        stuck: Sequence[RunRecord],
        *,
        sweep: bool,
    ) -> None:
        try:
            if not sweep and not stuck:
                with connection.api() as api:
                    api.ping()
            for record in stuck:
                self._watcher.look(instance, record, connection)
            if sweep:
                done = self._sweepers[connection.name].sweep(instance)
                if self._reaped:
                    self._reaped(connection.name, done)
        except HostUnreachable as error:
            absence = self._absences.noticed(instance, error.host_name)
            logger.debug("%s (%s)", error.reason, absence.in_words)
        except APIError as error:
            logger.warning("Docker host %s refuses: %s", connection.name, error)
        else:
            self._absences.answered(instance, connection.name)

    def _safely(self, work: Callable[[], None]) -> None:
        """Keep the thread alive whatever happens: the next look may go better."""
        try:
            work()
        except Exception:
            if not self._stopping.is_set():
                logger.exception("The look at runs and containers failed; the next one is due soon")

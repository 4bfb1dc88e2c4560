"""The queue daemon: Dagster's controller runs it in place of its own, under the same daemon type."""

import sys
import time
from threading import Event

from dagster._daemon.daemon import DaemonIterator, IntervalDaemon
from dagster._daemon.utils import DaemonErrorCapture
from dagster._time import get_current_timestamp
from sqlalchemy.exc import ProgrammingError

from clt_queued_run_coordinator.queue.holds import Holds
from clt_queued_run_coordinator.queue.leadership import Leadership
from clt_queued_run_coordinator.queue.mailbox import Changes, Mailbox
from clt_queued_run_coordinator.queue.observer import Observer, Silent
from clt_queued_run_coordinator.queue.parts import Context, Parts, assemble
from clt_queued_run_coordinator.queue.plain_ledger import PlainLedger
from clt_queued_run_coordinator.queue.process import identity
from clt_queued_run_coordinator.queue.recovery import Recovery
from clt_queued_run_coordinator.queue.schedule import EXPLAIN_MORE_SECONDS, EXPLAIN_SECONDS, Timer
from clt_queued_run_coordinator.storage import migration, pool
from clt_queued_run_coordinator.storage.ledger import PostgresLedger

# Dagster takes a heartbeat between two yields only.
YIELD_SECONDS = 1.0
RECONCILE_SECONDS = 60.0
HOUSEKEEPING_SECONDS = 2.0
# Whoever calls `run_iteration` expects the launches to be over; the loop never waits for them.
ITERATION_SECONDS = 600.0


class FleetQueueDaemon(IntervalDaemon[Context]):
    """Launches queued runs as soon as limits allow; one of several daemons leads, the others stand by."""

    def __init__(
        self, interval_seconds: float, page_size: int = 100, *, observer: Observer | None = None
    ) -> None:
        super().__init__(interval_seconds)
        self._page_size = page_size
        self._observer: Observer = observer or Silent()
        self._holds = Holds()

    @classmethod
    def daemon_type(cls) -> str:
        """Return the type of the daemon that this one replaces, so that the UI shows it in its place."""
        return "QUEUED_RUN_COORDINATOR"

    def run_iteration(
        self,
        workspace_process_context: Context,
        fixed_iteration_time: float | None = None,
    ) -> DaemonIterator:
        """Read the queue, launch what may start and wait for it, as one pass of Dagster's own daemon.

        For whoever drives the daemon by hand; `fixed_iteration_time` is in epoch seconds.
        """
        # Dagster's clock, which tests of its users freeze.
        now = fixed_iteration_time or get_current_timestamp()
        parts = assemble(
            workspace_process_context,
            ledger=PlainLedger(workspace_process_context.instance, page_size=self._page_size),
            mailbox=Mailbox(),
            holds=self._holds,
            observer=self._observer,
            in_order=True,
            clock=lambda: now,
        )
        parts.dispatcher.reload()
        yield None
        while parts.dispatcher.dispatch(now):
            parts.lanes.wait_idle(ITERATION_SECONDS)
            yield None

    def core_loop(self, workspace_process_context: Context, shutdown_event: Event) -> DaemonIterator:
        """Run until the controller stops it: react to notifications on PostgreSQL, else poll."""
        from clt_queued_run_coordinator.metrics.server import observer_of

        stop_serving = None
        if isinstance(self._observer, Silent):
            self._observer, stop_serving = observer_of(workspace_process_context.instance)
        try:
            yield from self._run(workspace_process_context, shutdown_event)
        finally:
            if stop_serving:
                stop_serving()

    def _run(self, workspace_process_context: Context, shutdown_event: Event) -> DaemonIterator:
        instance = workspace_process_context.instance
        mailbox = Mailbox()
        engine = pool.engine(instance)
        why_not = "runs and events are not in one PostgreSQL database"
        if engine is not None:
            try:
                migration.ensure(engine)
            except ProgrammingError as error:
                engine, why_not = None, f"its tables cannot be made: {error.orig}".strip()
        if engine is None:
            self._logger.warning("The queue is read every %g s: %s.", self.interval_seconds, why_not)
            plain = PlainLedger(instance, page_size=self._page_size)
            yield from self._poll(
                assemble(workspace_process_context, ledger=plain, mailbox=mailbox, holds=self._holds,
                         observer=self._observer),
                shutdown_event,
            )  # fmt: skip
            return
        me = identity()
        leadership = Leadership(engine, identity=me, mailbox=mailbox)
        ledger = PostgresLedger(engine, identity=me)
        parts = assemble(
            workspace_process_context,
            ledger=ledger,
            mailbox=mailbox,
            holds=self._holds,
            observer=self._observer,
        )
        recovery = Recovery(instance, ledger=ledger, lanes=parts.lanes, observer=self._observer, identity=me)
        leadership.start()
        try:
            yield from self._react(parts, ledger, leadership, recovery, shutdown_event)
        finally:
            leadership.stop()

    def _react(
        self,
        parts: Parts,
        ledger: PostgresLedger,
        leadership: Leadership,
        recovery: Recovery,
        shutdown_event: Event,
    ) -> DaemonIterator:
        """React to what changes while this process leads; stand by while it does not."""
        term: int | None = None
        leads: bool | None = None
        chores = _Chores()
        more = False
        while not shutdown_event.is_set():
            yield None
            changes = parts.mailbox.take(0 if more else self._patience())
            epoch, now = leadership.epoch, time.time()
            if leads != (epoch is not None):
                leads = epoch is not None
                self._observer.leading(leads=leads)
                self._logger.info("This process %s.", "leads the queue" if leads else "stands by")
            try:
                if epoch is None:
                    more, term = False, None
                    continue
                if epoch != term:
                    ledger.epoch = epoch
                    recovery.begin()
                    parts.dispatcher.load(now)
                    term = epoch
                elif "resync" in changes.topics:
                    parts.dispatcher.load(now)
                else:
                    parts.dispatcher.apply(changes, now)
                if changes.statuses and changes.first_at is not None:
                    self._observer.woken(latency=time.monotonic() - changes.first_at)
                more = self._is_due(parts, changes, now, more) and bool(parts.dispatcher.dispatch(now))
                self._do_chores(parts, recovery, chores, now, idle=not more)
            except Exception:
                # What was applied halfway is read again.
                parts.mailbox.post("resync")
                more = False
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(),
                    logger=self._logger,
                    log_message="A pass of the queue failed, trying again",
                )
                shutdown_event.wait(YIELD_SECONDS)

    def _poll(self, parts: Parts, shutdown_event: Event) -> DaemonIterator:
        """Read everything every `interval_seconds`, where nobody notifies."""
        timer = Timer(self.interval_seconds)
        chores = _Chores()
        self._observer.leading(leads=True)
        while not shutdown_event.is_set():
            yield None
            shutdown_event.wait(min(YIELD_SECONDS / 2, timer.left()))
            if not timer.due():
                continue
            try:
                now = time.time()
                parts.mailbox.take(0)
                parts.dispatcher.reload()
                while parts.dispatcher.dispatch(now):
                    yield None
                self._do_chores(parts, None, chores, now, idle=True)
            except Exception:
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(),
                    logger=self._logger,
                    log_message="A pass of the queue failed, trying again",
                )

    def _do_chores(
        self, parts: Parts, recovery: Recovery | None, chores: "_Chores", now: float, *, idle: bool
    ) -> None:
        """Do what nobody notifies about; explanations only when there is nothing to launch."""
        if chores.reconcile.due():
            if parts.dispatcher.reconcile(now):
                parts.mailbox.post("reconciled")
            if recovery:
                recovery.tidy()
        if chores.settle.due():
            parts.dispatcher.give_back_stuck(now)
            parts.dispatcher.expire(now)
            parts.dispatcher.measure()
            if recovery:
                recovery.settle()
        if idle and chores.explain.due() and parts.dispatcher.explain(now):
            chores.explain.within(EXPLAIN_MORE_SECONDS)

    def _patience(self) -> float:
        """Return how long to wait for a notification: until a hold is over, but not beyond the next yield."""
        ends = self._holds.next_end()
        return YIELD_SECONDS if ends is None else min(YIELD_SECONDS, max(0.01, ends - time.time()))

    def _is_due(self, parts: Parts, changes: Changes, now: float, more: bool) -> bool:
        """Say whether a pass can launch anything that the last one could not."""
        ends = self._holds.next_end()
        over = ends is not None and ends <= now
        return more or over or changes.first_at is not None or parts.dispatcher.has_pools()


class _Chores:
    def __init__(self) -> None:
        self.reconcile = Timer(RECONCILE_SECONDS, later=True)
        self.settle = Timer(HOUSEKEEPING_SECONDS)
        self.explain = Timer(EXPLAIN_SECONDS)

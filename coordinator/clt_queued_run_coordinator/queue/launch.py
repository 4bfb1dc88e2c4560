"""One launch and what becomes of the run if it fails, as in Dagster's own daemon."""

import logging
import sys
import time
from collections.abc import Callable

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.errors import DagsterCodeLocationLoadError, DagsterUserCodeUnreachableError
from dagster._core.events import EngineEventData
from dagster._core.launcher import LaunchRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._daemon.utils import DaemonErrorCapture
from dagster_shared.error import SerializableErrorInfo

from clt_queued_run_coordinator.queue.holds import Holds
from clt_queued_run_coordinator.queue.ledger import Claim, Claimed, Ledger
from clt_queued_run_coordinator.queue.observer import Observer
from clt_queued_run_coordinator.queue.snapshot import Hold
from clt_queued_run_coordinator.storage.events import BACK_IN_QUEUE

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

# A launcher of many hosts reads the first and keeps the run away from them; the others are what a run says of
# its host, so that it may have to wait where others of its location need not.
AVOID_HOSTS_TAG = "multihost/avoid_hosts"
_PLACED_BY = ("multihost/host", "multihost/labels")

WorkspaceFactory = Callable[[], BaseWorkspaceRequestContext]


class Launch:
    """Calls the instance's launcher for a claimed run and settles what comes of it."""

    def __init__(
        self,
        instance: DagsterInstance,
        *,
        ledger: Ledger,
        holds: Holds,
        observer: Observer,
        workspace: WorkspaceFactory,
        config: RunQueueConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._instance = instance
        # The instance makes its launcher when it is first asked, and two threads that ask at once get two.
        self._launcher = instance.run_launcher
        self._ledger = ledger
        self._holds = holds
        self._observer = observer
        self._workspace = workspace
        self._config = config
        self._clock = clock

    def __call__(self, claimed: Claimed) -> bool:
        """Launch a run whose claim was handed over; False if it went back, its claim with it."""
        location, now = claimed.queued.kind.location, self._clock()
        run = claimed.claim.run()
        if location and self._holds.held(location, now):
            self._ledger.give_back([claimed.claim], f"{location} waits until it can be reached.", now)
            return False
        try:
            context = LaunchRunContext(dagster_run=self._kept_away(run), workspace=self._workspace())
            self._launcher.launch_run(context)
        except Exception as error:
            retry_after = getattr(error, "retry_after_seconds", None)
            if retry_after is not None:
                self._postpone(claimed.claim, location, error, float(retry_after))
                return False
            captured = DaemonErrorCapture.process_exception(
                exc_info=sys.exc_info(),
                logger=logger,
                log_message=f"Caught an error dequeuing run {run.run_id}",
            )
            return self._failed(claimed.claim, location, error, captured)
        waited = max(0.0, now - claimed.queued.queued_at)
        self._observer.launched(location=location, priority=claimed.queued.kind.priority, waited=waited)
        return True

    def _kept_away(self, run: DagsterRun) -> DagsterRun:
        """Return the run as its launcher is to see it; storage does not learn of this."""
        paused = self._holds.paused_hosts
        return run.with_tags({**run.tags, AVOID_HOSTS_TAG: ",".join(sorted(paused))}) if paused else run

    def _failed(
        self, claim: Claim, location: str | None, error: Exception, captured: SerializableErrorInfo
    ) -> bool:
        found = self._instance.get_run_by_id(claim.run_id)
        if found is None:
            return True
        if found.status not in (DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING):
            # It started or ended while its launch failed: it is nobody's to requeue any more.
            logger.info(
                "Run %s failed while being dequeued, but has already advanced to %s - moving on. Error: %s",
                claim.run_id,
                found.status,
                captured.to_string(),
            )
        elif self._config.max_user_code_failure_retries and isinstance(
            error, (DagsterUserCodeUnreachableError, DagsterCodeLocationLoadError)
        ):
            return self._retry(claim, found, location, captured)
        else:
            self._fail(
                found,
                location,
                captured,
                "Caught an unrecoverable error while dequeuing the run. Marking the run as"
                " failed and dropping it from the queue",
            )
        return True

    def _postpone(self, claim: Claim, location: str | None, error: Exception, retry_after: float) -> None:
        """The launcher says "not now": the run goes back, with its reason and without a failure.

        Where the run may already run on an unreachable host, only this run waits. Otherwise no host of its
        location would take another one either, so the location waits; when it is merely full, until one ends.
        """
        now = self._clock()
        reason = str(getattr(error, "reason", error))
        logger.info("Run %s goes back to the queue for %g s: %s", claim.run_id, retry_after, reason)
        placed = any(tag in claim.run().tags for tag in _PLACED_BY)
        only_this = bool(getattr(error, "may_be_running", False)) or location is None or placed
        kind, name = ("run", claim.run_id) if only_this else ("location", location or "")
        hold = Hold(kind, name, now + retry_after, reason)
        self._holds.add(hold, until_free=not only_this and not hasattr(error, "host_name"))
        self._ledger.hold(hold)
        self._ledger.give_back([claim], f"{reason} Trying again in {retry_after:g} s.", now)
        self._observer.requeued(location=location, cause="postponed")

    def _retry(
        self, claim: Claim, run: DagsterRun, location: str | None, captured: SerializableErrorInfo
    ) -> bool:
        allowed = self._config.max_user_code_failure_retries
        delay = self._config.user_code_failure_retry_delay
        if location:
            sentence = f"The code server of {location} could not be reached."
            hold = Hold("location", location, self._clock() + delay, sentence)
            self._holds.add(hold)
            self._ledger.hold(hold)
        left = allowed - self._retries_so_far(run)
        if left <= 0:
            self._fail(
                run,
                location,
                captured,
                f"Run dequeue failed to reach the user code server after {allowed} attempts, failing run",
            )
            return True
        self._instance.report_engine_event(
            "Run dequeue failed to reach the user code server, re-submitting the run into the queue"
            f" ({left} retr{'y' if left == 1 else 'ies'} remaining)",
            run,
            EngineEventData.engine_error(captured),
        )
        self._ledger.give_back([claim], None, self._clock())
        self._observer.requeued(location=location, cause="unreachable")
        return False

    def _retries_so_far(self, run: DagsterRun) -> int:
        """Count how often it was queued again after a failure; going back for another reason is none."""
        records = self._instance.get_records_for_run(
            run_id=run.run_id, of_type=DagsterEventType.PIPELINE_ENQUEUED
        ).records
        messages = [record.event_log_entry.get_dagster_event().message or "" for record in records]
        return sum(not message.startswith(BACK_IN_QUEUE) for message in messages) - 1

    def _fail(
        self, run: DagsterRun, location: str | None, captured: SerializableErrorInfo, message: str
    ) -> None:
        self._instance.report_engine_event(message, run, EngineEventData.engine_error(captured))
        self._instance.report_run_failed(run)
        self._observer.launch_failed(location=location)

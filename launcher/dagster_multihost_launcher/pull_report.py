"""What a run's event log says about a pull, and why the pull does not count as starting."""

import logging
import time
from collections.abc import Callable

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events.log import EventLogEntry

_SECONDS_BETWEEN_EVENTS = 10


class PullReport:
    """Hears each second how a pull for a run goes.

    Dagster fails a run that is STARTING for longer than `start_timeout_seconds`, counted from the last
    RUN_STARTING event in its log. So that the pull is not counted, another such event is stored each time a
    third of that has passed. It goes to the event log only: reporting it to the instance would also set the
    run's status, and so undo a cancellation.
    """

    def __init__(
        self, instance: DagsterInstance, run: DagsterRun, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._instance = instance
        self._run = run
        self._clock = clock
        self._begun = self._starting_since = clock()
        self._last_event: float | None = None

    def __call__(self, text: str) -> None:
        """Take note of the progress."""
        now = self._clock()
        if self._last_event is None or now - self._last_event >= _SECONDS_BETWEEN_EVENTS:
            self._last_event = now
            self._instance.report_engine_event(text, self._run)
        self._count_anew(now, text)

    def done(self) -> None:
        """Say that the image is here, if anything was said about it."""
        if self._last_event is None:
            return
        now = self._clock()
        self._instance.report_engine_event(f"The image is here after {now - self._begun:.0f} s", self._run)
        self._count_anew(now, "The image is here")

    def _count_anew(self, now: float, text: str) -> None:
        allowed = self._instance.run_monitoring_start_timeout_seconds
        if not allowed or self._run.status != DagsterRunStatus.STARTING:
            return
        if now - self._starting_since < allowed / 3:
            return
        self._starting_since = now
        event = DagsterEvent(
            event_type_value=DagsterEventType.PIPELINE_STARTING.value,
            job_name=self._run.job_name,
            message=text,
        )
        self._instance.event_log_storage.store_event(
            EventLogEntry(  # type: ignore[no-untyped-call]
                error_info=None,
                level=logging.INFO,
                user_message="",
                run_id=self._run.run_id,
                timestamp=time.time(),
                job_name=self._run.job_name,
                dagster_event=event,
            )
        )

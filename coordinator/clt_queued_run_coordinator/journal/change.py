"""A change of one run: what it was, what it becomes, and the events that say so."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, EventLogEntry
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._time import get_current_timestamp

# What stands for the run's number in line until the database, which counts, knows it.
POSITION = "@position@"


@dataclass(frozen=True)
class Change:
    """From `before` to `after`: status and tags may differ. `events` are stored in this order."""

    before: DagsterRun
    after: DagsterRun
    events: tuple[EventLogEntry, ...]

    @property
    def tags_written(self) -> dict[str, str]:
        """The tags that are new or have another value."""
        before = self.before.tags
        return {key: value for key, value in self.after.tags.items() if before.get(key) != value}

    @property
    def tags_removed(self) -> frozenset[str]:
        """The keys of the tags that are gone."""
        return frozenset(self.before.tags) - frozenset(self.after.tags)

    @property
    def finishes(self) -> bool:
        """Whether the run is over afterwards."""
        return self.after.is_finished


def enqueued(before: DagsterRun, after: DagsterRun, *, numbered: bool) -> Change:
    """Queue the run; with `numbered`, its event says which number in line it got."""
    queued = after.with_status(DagsterRunStatus.QUEUED)
    event = DagsterEvent.job_enqueue(queued)
    if numbered:
        event = event._replace(message=f"Accepted into the queue as number {POSITION} in line.")
    return Change(before, queued, (_entry(queued, event),))


def failed(before: DagsterRun, after: DagsterRun, reason: str, *, tag: str | None = None) -> Change:
    """End the run as FAILURE. Dagster's automatic retries leave it alone: they would only add to the load."""
    tags = {WILL_RETRY_TAG: "false"} | ({tag: reason} if tag else {})
    over = after.with_tags({**after.tags, **tags}).with_status(DagsterRunStatus.FAILURE)
    event = _event(over, DagsterEventType.PIPELINE_FAILURE, reason)
    return Change(before, over, (_entry(over, event, logging.ERROR),))


def canceled(before: DagsterRun, message: str) -> Change:
    """Take a queued run out of the queue, with the two events of Dagster's own cancel."""
    after = before.with_status(DagsterRunStatus.CANCELED)
    canceling = _event(after, DagsterEventType.PIPELINE_CANCELING, "Canceling run from the queue.")
    return Change(
        before,
        after,
        (
            _entry(after, canceling),
            _entry(after, _event(after, DagsterEventType.PIPELINE_CANCELED, message), logging.ERROR),
        ),
    )


def retagged(before: DagsterRun, tags: dict[str, str], *, without: Iterable[str] = ()) -> Change:
    """Write tags and remove others; the status stays."""
    kept = {key: value for key, value in before.tags.items() if key not in set(without)}
    return Change(before, before.with_tags({**kept, **tags}), ())


def _event(run: DagsterRun, kind: DagsterEventType, message: str) -> DagsterEvent:
    return DagsterEvent(event_type_value=kind.value, job_name=run.job_name, message=message)


def _entry(run: DagsterRun, event: DagsterEvent, level: int = logging.INFO) -> EventLogEntry:
    make: Any = EventLogEntry  # Dagster leaves its constructor untyped
    entry: EventLogEntry = make(
        user_message="",
        level=level,
        job_name=run.job_name,
        run_id=run.run_id,
        error_info=None,
        timestamp=get_current_timestamp(),
        step_key=event.step_key,
        dagster_event=event,
    )
    return entry

"""Events as Dagster stores them, for statements that change a status and log it together."""

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dagster import DagsterEvent, DagsterEventType, DagsterRun
from dagster._core.events import EngineEventData
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value

# Tells a run's return to the queue from a retry that `max_user_code_failure_retries` counts.
BACK_IN_QUEUE = "Back in the queue: "


@dataclass(frozen=True, slots=True)
class Entry:
    """One row for `event_logs`: its type and its serialised body."""

    run_id: str
    type: str
    body: str


def starting(run_id: str, job_name: str, now: float) -> Entry:
    """Return the event that Dagster's own daemon reports before it launches a run."""
    before, between, after = _starting_parts(job_name)
    body = f"{before}{json.dumps(run_id)}{between}{json.dumps(now)}{after}"
    return Entry(run_id, DagsterEventType.PIPELINE_STARTING.value, body)


@lru_cache(maxsize=1000)
def _starting_parts(job_name: str) -> tuple[str, str, str]:
    """Serialise the event of a job once and cut it where the run and the time stand: 80 us less a launch."""
    run_id, now = "dagfleet run", 123456789.125
    event = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_STARTING.value, job_name=job_name)
    body = _entry(run_id, event, now).body
    before, between_and_after = body.split(f'"run_id": {json.dumps(run_id)}')
    between, after = between_and_after.split(f'"timestamp": {json.dumps(now)}')
    return f'{before}"run_id": ', f'{between}"timestamp": ', after


def enqueued_again(run: DagsterRun, reason: str | None, now: float) -> Entry:
    """Return the event of a run that goes back to the queue; one without a reason counts as a retry."""
    event = DagsterEvent.job_enqueue(run)
    if reason is not None:
        event = event._replace(message=f"{BACK_IN_QUEUE}{reason}")
    return _entry(run.run_id, event, now)


def canceled(run_id: str, job_name: str, message: str, now: float) -> tuple[Entry, Entry]:
    """Return the two events of a run that is canceled out of the queue."""
    canceling = DagsterEvent(DagsterEventType.PIPELINE_CANCELING.value, job_name, message=message)
    over = DagsterEvent(DagsterEventType.PIPELINE_CANCELED.value, job_name, message=message)
    return _entry(run_id, canceling, now), _entry(run_id, over, now, logging.ERROR)


def note(run_id: str, job_name: str, message: str, now: float) -> Entry:
    """Return an engine event: a line in the run's log in the UI, which changes nothing else."""
    event = DagsterEvent(
        event_type_value=DagsterEventType.ENGINE_EVENT.value,
        job_name=job_name,
        message=message,
        event_specific_data=EngineEventData({}),
    )
    return _entry(run_id, event, now)


def _entry(run_id: str, event: DagsterEvent, now: float, level: int = logging.INFO) -> Entry:
    make: Any = EventLogEntry  # Dagster leaves its constructor untyped
    entry = make(
        error_info=None,
        level=level,
        user_message="",
        run_id=run_id,
        timestamp=now,
        job_name=event.job_name,
        dagster_event=event,
    )
    return Entry(run_id, event.event_type_value, serialize_value(entry))

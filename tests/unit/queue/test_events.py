"""Events that are written without Dagster's own methods read as if they were not."""

from __future__ import annotations

from clt_queued_run_coordinator.storage import events
from dagster import DagsterEvent, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._serdes import deserialize_value
from hypothesis import given
from hypothesis import strategies as st

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(names, names, st.floats(min_value=0, max_value=1e10))
def test_the_starting_event_is_the_one_that_dagster_reports(run_id: str, job_name: str, now: float) -> None:
    stored = deserialize_value(events.starting(run_id, job_name, now).body, EventLogEntry)

    assert stored == EventLogEntry(
        error_info=None,
        level=20,
        user_message="",
        run_id=run_id,
        timestamp=now,
        job_name=job_name,
        dagster_event=DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, job_name)._replace(
            pid=stored.dagster_event.pid
        ),
    )

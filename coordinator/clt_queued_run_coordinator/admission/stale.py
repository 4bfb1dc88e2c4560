"""Runs that waited in the queue for too long: CANCELED, and their event says after how long."""

from datetime import timedelta

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._time import get_current_datetime

from clt_queued_run_coordinator.admission.settings import UNLIMITED
from clt_queued_run_coordinator.journal.change import canceled
from clt_queued_run_coordinator.journal.postgres import PostgresJournal

_BATCH = 500

# Dagster keeps a run's creation in the time zone of its connection, and ours has the same.
_STALE = """status = 'QUEUED' and create_timestamp < localtimestamp - %s * interval '1 second'
order by id limit %s"""


def expire(instance: DagsterInstance, stale_timeout_seconds: int) -> list[DagsterRun]:
    """Cancel the queued runs that were created longer ago than this, and return them as they are then.

    -1 expires none. A run that starts or is canceled meanwhile is left alone.
    """
    if stale_timeout_seconds == UNLIMITED:
        return []
    message = (
        f"This run expired after {stale_timeout_seconds} s in the queue"
        f" (admission.stale_timeout_seconds {stale_timeout_seconds})."
        " Submit it again, or raise the limit if the queue is meant to hold runs for longer."
    )
    journal = PostgresJournal.of(instance)
    if journal is None:
        return _through_dagster(instance, stale_timeout_seconds, message)
    expired: list[DagsterRun] = []
    while found := journal.read_where(_STALE, (stale_timeout_seconds, _BATCH)):
        changes = [(stored, canceled(stored.run, message)) for stored in found]
        written = journal.write(changes).run_ids
        expired += [change.after for _, change in changes if change.after.run_id in written]
        if not written:
            break
    return expired


def _through_dagster(instance: DagsterInstance, seconds: int, message: str) -> list[DagsterRun]:
    queued_before = get_current_datetime() - timedelta(seconds=seconds)
    stale = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED], created_before=queued_before))
    for run in stale:
        instance.report_run_canceled(run, message)
    return [run.with_status(DagsterRunStatus.CANCELED) for run in stale]

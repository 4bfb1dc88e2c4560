"""Submits over pooled connections to PostgreSQL: a run is read, then tagged and queued in one statement."""

import logging

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster import _check as check
from dagster._core.run_coordinator.base import SubmitRunContext

from clt_queued_run_coordinator.admission.gate import gate
from clt_queued_run_coordinator.admission.stale import expire
from clt_queued_run_coordinator.admission.verdict import (
    REFUSED_TAG,
    Applicant,
    Counts,
    queue_is_full,
    refusal,
)
from clt_queued_run_coordinator.journal import change
from clt_queued_run_coordinator.journal.change import Change
from clt_queued_run_coordinator.journal.postgres import OPEN, Gate, PostgresJournal, Stored
from clt_queued_run_coordinator.schema import Extensions
from clt_queued_run_coordinator.submission.ruling import NO_ORIGIN, Ruling, ruling

logger = logging.getLogger("dagster.run_coordinator.clt_queued_run_coordinator")

# Somebody else would have to write the same run's tags each time between our read and our write.
_ATTEMPTS = 20


def submit(
    instance: DagsterInstance, journal: PostgresJournal, extensions: Extensions, context: SubmitRunContext
) -> DagsterRun:
    """Queue or refuse the run, and return it as it is stored then.

    A run that was submitted before stays as it is, however many submit it at once.
    """
    run_id = context.dagster_run.run_id
    swept = False
    for _ in range(_ATTEMPTS):
        stored = journal.read(run_id)
        if stored is None:
            check.failed(f"Failed to reload run {run_id}")
        if stored.run.status != DagsterRunStatus.NOT_STARTED:
            logger.warning(
                "submit_run called for run %s with status %s, skipping enqueue.",
                run_id,
                stored.run.status.value,
            )
            return stored.run
        ruled = ruling(context._replace(dagster_run=stored.run), extensions, instance.get_run_by_id)
        wanted, counts = _attempt(journal, extensions, stored, ruled)
        if wanted is None and ruled.asking and counts and extensions.admission:
            if queue_is_full(ruled.asking, counts) and not swept:
                swept = True
                expire(instance, extensions.admission.stale_timeout_seconds)
                continue
            wanted = _refuse(journal, stored, ruled, ruled.asking, counts)
        if wanted is not None:
            _tell(instance, wanted)
            return wanted.after
    raise check.CheckError(f"run {run_id} changed {_ATTEMPTS} times while it was submitted: submit it again")


def _attempt(
    journal: PostgresJournal, extensions: Extensions, stored: Stored, ruled: Ruling
) -> tuple[Change | None, Counts | None]:
    """Return the change that was made, else what the gate counted."""
    if ruled.run.remote_job_origin is None:
        wanted = change.failed(stored.run, ruled.run, NO_ORIGIN)
    else:
        wanted = change.enqueued(stored.run, ruled.run, numbered=ruled.asking is not None)
    written = journal.write([(stored, wanted)], _gate(extensions, ruled.asking))
    counts = Counts(queued=written.queued, of_user=written.of_user, of_location=written.of_location)
    return (wanted, None) if written.run_ids else (None, counts)


def _gate(extensions: Extensions, asking: Applicant | None) -> Gate:
    if asking is None:
        return OPEN
    return gate(asking, user_tag=extensions.user_tag, code_location_tag=extensions.code_location_tag)


def _refuse(
    journal: PostgresJournal, stored: Stored, ruled: Ruling, asking: Applicant, counts: Counts
) -> Change | None:
    reason = refusal(asking, counts)
    if reason is None:
        return None
    refused = change.failed(stored.run, ruled.run, reason, tag=REFUSED_TAG)
    return refused if journal.write([(stored, refused)]).run_ids else None


def _tell(instance: DagsterInstance, done: Change) -> None:
    """Call who listens to the run's events in this process, as Dagster's own submit does."""
    for listener in instance._subscribers.get(done.after.run_id, ()):
        for entry in done.events:
            listener(entry)

"""Submits through Dagster's own API, on any storage.

Who submits in this process takes turns. Another process may submit between our counting and our queueing, so
a cap can be passed by at most one run for each other process that submits at the same moment.
"""

import threading
from collections.abc import Callable

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.storage.tags import WILL_RETRY_TAG

from clt_queued_run_coordinator.admission.stale import expire
from clt_queued_run_coordinator.admission.verdict import (
    REFUSED_TAG,
    Applicant,
    Counts,
    queue_is_full,
    refusal,
)
from clt_queued_run_coordinator.schema import Extensions
from clt_queued_run_coordinator.submission.ruling import NO_ORIGIN, OWN_TAGS, ruling

_LIVE = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)
_turn = threading.Lock()

Enqueue = Callable[[SubmitRunContext], DagsterRun]


def submit(
    instance: DagsterInstance, extensions: Extensions, context: SubmitRunContext, enqueue: Enqueue
) -> DagsterRun:
    """Tag the run, then let Dagster queue it, or refuse it; one that was submitted before keeps its tags."""
    if context.dagster_run.status != DagsterRunStatus.NOT_STARTED:
        return enqueue(context)
    ruled = ruling(context, extensions, instance.get_run_by_id)
    run = _tagged(instance, context.dagster_run, ruled.run)
    if run.remote_job_origin is None:
        return _failed(instance, run, NO_ORIGIN)
    if ruled.asking is None:
        return enqueue(context._replace(dagster_run=run))
    with _turn:
        reason = _reason(instance, extensions, ruled.asking)
        if reason is None:
            return enqueue(context._replace(dagster_run=run))
    run = _tagged(instance, run, run.with_tags({**run.tags, REFUSED_TAG: reason}))
    return _failed(instance, run, reason)


def _reason(instance: DagsterInstance, extensions: Extensions, asking: Applicant) -> str | None:
    counts = _counts(instance, extensions, asking)
    if queue_is_full(asking, counts) and extensions.admission:
        expire(instance, extensions.admission.stale_timeout_seconds)
        counts = _counts(instance, extensions, asking)
    return refusal(asking, counts)


def _counts(instance: DagsterInstance, extensions: Extensions, asking: Applicant) -> Counts:
    def live(tag: str, value: str, cap: int | None) -> int:
        if cap is None:
            return 0
        return instance.get_runs_count(RunsFilter(statuses=_LIVE, tags={tag: value}))

    return Counts(
        queued=instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.QUEUED])),
        of_user=live(extensions.user_tag, asking.user, asking.user_cap),
        of_location=live(extensions.code_location_tag, asking.location, asking.location_cap),
    )


def _tagged(instance: DagsterInstance, before: DagsterRun, after: DagsterRun) -> DagsterRun:
    tags = {key: value for key, value in after.tags.items() if before.tags.get(key) != value}
    # Dagster can add and change tags but not remove them.
    tags |= {key: "" for key in OWN_TAGS if before.tags.get(key) and key not in after.tags}
    if tags:
        instance.add_run_tags(before.run_id, tags)
    return before.with_tags({**before.tags, **tags})


def _failed(instance: DagsterInstance, run: DagsterRun, reason: str) -> DagsterRun:
    instance.report_run_failed(run, reason)
    # Automatic retries would only add to the load.
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
    return instance.get_run_by_id(run.run_id) or run

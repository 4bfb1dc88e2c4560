"""Ends what was in flight when a backup was made. Run with the control plane's own Python, on its instance.

Nobody knows what became of these runs afterwards: they may have succeeded. So that each has an end, and none
is started a second time by itself, those in progress fail and those that waited are canceled.
"""

import json

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

IN_PROGRESS = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED)
WAITING = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.CANCELING)
REASON = (
    "The database was restored from a backup that was made while this run {was}. "
    "What became of it afterwards is not known; launch it again if it is needed."
)


def end_lost_runs(instance: DagsterInstance) -> dict[str, int]:
    """End all of them; return how many failed and how many were canceled."""
    failed, canceled = _in(instance, IN_PROGRESS), _in(instance, WAITING)
    for run in failed:
        instance.report_run_failed(run, REASON.format(was="was in progress"))
    for run in canceled:
        was = "was being canceled" if run.status is DagsterRunStatus.CANCELING else "waited"
        instance.report_run_canceled(run, REASON.format(was=was))
    return {"failed": len(failed), "canceled": len(canceled)}


def _in(instance: DagsterInstance, statuses: tuple[DagsterRunStatus, ...]) -> list[DagsterRun]:
    return list(instance.get_runs(RunsFilter(statuses=list(statuses))))


if __name__ == "__main__":
    with DagsterInstance.get() as opened:
        print(json.dumps(end_lost_runs(opened)))

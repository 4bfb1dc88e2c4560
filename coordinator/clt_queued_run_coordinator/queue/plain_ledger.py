"""The ledger through Dagster's own storage methods, for SQLite and MySQL: as safe as Dagster's own daemon."""

from collections.abc import Collection, Mapping, Sequence

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.storage.dagster_run import RunRecord
from dagster._serdes import serialize_value

from clt_queued_run_coordinator.queue.ledger import Claim, Claimed, Reading
from clt_queued_run_coordinator.queue.runs import ActiveRun, QueuedRun, kind_of
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause
from clt_queued_run_coordinator.storage.events import BACK_IN_QUEUE

# Dagster 1.12 has no name for them.
_ACTIVE = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)


class PlainLedger:
    """Implements `Ledger` for one daemon. Pauses, holds and reasons live in that daemon only."""

    def __init__(self, instance: DagsterInstance, *, page_size: int = 100) -> None:
        self._instance = instance
        self._page_size = page_size

    def everything(self, keys: frozenset[str]) -> Reading:
        """Read all queued and active runs, a page at a time."""
        queued: list[QueuedRun] = []
        cursor: str | None = None
        while True:
            page = self._instance.get_run_records(
                RunsFilter(statuses=[DagsterRunStatus.QUEUED]),
                limit=self._page_size,
                cursor=cursor,
                ascending=True,
            )
            queued += [_queued(record, keys) for record in page]
            if len(page) < self._page_size:
                break
            cursor = page[-1].dagster_run.run_id
        active = self._instance.get_run_records(RunsFilter(statuses=_ACTIVE))
        return Reading(tuple(queued), tuple(_active(record, keys) for record in active))

    def some(self, run_ids: Collection[str], keys: frozenset[str]) -> Reading:
        """Read those of these runs that are queued or active."""
        if not run_ids:
            return Reading()
        records = self._instance.get_run_records(RunsFilter(run_ids=list(run_ids)), ascending=True)
        return Reading(
            tuple(_queued(r, keys) for r in records if r.dagster_run.status == DagsterRunStatus.QUEUED),
            tuple(_active(r, keys) for r in records if r.dagster_run.status in _ACTIVE),
        )

    def changed(self, known: Mapping[str, str], since: float) -> set[str]:
        """Return nothing: without notifications every pass reads everything anyway."""
        del known, since
        return set()

    def pauses(self) -> Sequence[Pause]:
        """Return nothing: there is no table for it."""
        return ()

    def holds(self) -> Sequence[Hold]:
        """Return nothing: there is no table for it."""
        return ()

    def claim(self, runs: Sequence[QueuedRun], now: float) -> Sequence[Claimed]:
        """Move runs from QUEUED to STARTING, each after a second look."""
        del now
        claimed = []
        for queued in runs:
            run = self._instance.get_run_by_id(queued.run_id)
            if run is None or run.status != DagsterRunStatus.QUEUED:
                continue
            event = DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, job_name=run.job_name)
            self._instance.report_dagster_event(event, run_id=run.run_id)
            moved = self._instance.get_run_by_id(run.run_id) or run
            claimed.append(Claimed(queued, Claim(run.run_id, "", 0, serialize_value(moved))))
        return claimed

    def hand_over(self, claims: Sequence[Claim], done: Sequence[Claim]) -> Collection[str]:
        """Let all go: there is one daemon."""
        del done
        return [claim.run_id for claim in claims]

    def give_back(self, claims: Sequence[Claim], reason: str | None, now: float) -> Collection[str]:
        """Move claimed runs back to QUEUED."""
        del now
        moved = []
        for claim in claims:
            run = self._instance.get_run_by_id(claim.run_id)
            if run is None or run.status != DagsterRunStatus.STARTING:
                continue
            event = DagsterEvent.job_enqueue(run)
            if reason is not None:
                event = event._replace(message=f"{BACK_IN_QUEUE}{reason}")
            self._instance.report_dagster_event(event, run_id=run.run_id)
            moved.append(run.run_id)
        return moved

    def hold(self, hold: Hold) -> None:
        """Keep nothing: the daemon has it in memory."""

    def explain(self, sentences: Mapping[QueuedRun, str], now: float) -> None:
        """Write a line on each run's log."""
        del now
        for queued, sentence in sentences.items():
            self._instance.report_engine_event(
                f"Waiting: {sentence}", run_id=queued.run_id, job_name=queued.job_name
            )

    def explained(self) -> Mapping[str, str]:
        """Return nothing: there is no table for it."""
        return {}

    def expire(self, runs: Sequence[QueuedRun], seconds: int, now: float) -> Collection[str]:
        """Cancel those that are still queued."""
        del now
        expired = []
        for queued in runs:
            run = self._instance.get_run_by_id(queued.run_id)
            if run and run.status == DagsterRunStatus.QUEUED:
                message = f"This run expired after {seconds} s in the queue."
                self._instance.report_run_canceling(run, message=message)
                self._instance.report_run_canceled(run, message=message)
                expired.append(run.run_id)
        return expired


def _queued(record: RunRecord, keys: frozenset[str]) -> QueuedRun:
    run = record.dagster_run
    created = record.create_timestamp.timestamp()
    return QueuedRun(record.storage_id, run.run_id, run.job_name, kind_of(run, keys), created)


def _active(record: RunRecord, keys: frozenset[str]) -> ActiveRun:
    run = record.dagster_run
    return ActiveRun(run.run_id, kind_of(run, keys), run.status.value, record.start_time)

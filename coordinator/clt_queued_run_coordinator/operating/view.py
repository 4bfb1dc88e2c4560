"""The queue as it is now: every queued run with its place and what it waits for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dagster import DagsterInstance

from clt_queued_run_coordinator.queue import pools
from clt_queued_run_coordinator.queue.ledger import Ledger
from clt_queued_run_coordinator.queue.limits import limits_of
from clt_queued_run_coordinator.queue.plain_ledger import PlainLedger
from clt_queued_run_coordinator.queue.runs import QueuedRun
from clt_queued_run_coordinator.queue.selection import explain, rank_of, select
from clt_queued_run_coordinator.queue.snapshot import Snapshot, snapshot_of
from clt_queued_run_coordinator.storage import migration, pool
from clt_queued_run_coordinator.storage.ledger import PostgresLedger


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A queued run. `place` counts from 1 in the order of launching; `since` is in epoch seconds."""

    place: int
    run_id: str
    job: str
    location: str | None
    user: str | None
    priority: int
    since: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Why:
    """What one run waits for. `limit` and `used` are runs or slots, None where nothing is counted."""

    run_id: str
    cause: str
    limit_name: str
    limit: int | None
    used: int | None
    sentence: str
    place: int
    waiting: int
    since: float


@dataclass(frozen=True)
class View:
    """One moment of the queue."""

    snapshot: Snapshot
    now: float

    def line(self) -> list[Waiting]:
        """Return all queued runs in the order in which they would start, were there room for all."""
        limits, selection = self.snapshot.limits, select(self.snapshot)
        next_up = {run.run_id for run in selection.launches}
        runs = [run for kind in self.snapshot.queued.values() for run in kind]
        runs.sort(key=lambda run: rank_of(limits, run, 0, self.now))
        return [
            Waiting(
                place=place,
                run_id=run.run_id,
                job=run.job_name,
                location=run.kind.location,
                user=run.kind.tag(limits.user_tag),
                priority=run.kind.priority,
                since=run.queued_at,
                reason="It is next." if run.run_id in next_up else selection.reason(run.kind).sentence,
            )
            for place, run in enumerate(runs, start=1)
        ]

    def why(self, run_id: str) -> Why | None:
        """Return what a queued run waits for; None if it is not queued."""
        found = explain(self.snapshot, run_id)
        if found is None:
            return None
        return Why(
            run_id=found.run_id,
            cause=found.reason.cause,
            limit_name=found.reason.name,
            limit=found.reason.limit,
            used=found.reason.used,
            sentence=found.reason.sentence,
            place=found.place,
            waiting=found.waiting,
            since=found.since,
        )

    def queued(self) -> Mapping[str, QueuedRun]:
        """Return the queued runs by their id."""
        return {run.run_id: run for kind in self.snapshot.queued.values() for run in kind}


def view(instance: DagsterInstance) -> View:
    """Read the queue with the limits, pauses, holds and pools that decide about it."""
    limits, ledger, now = limits_of(instance), _ledger(instance), time.time()
    reading = ledger.everything(limits.keys)
    snapshot = snapshot_of(limits, reading.queued, reading.active, now=now)
    snapshot = replace(
        snapshot,
        pauses={(pause.kind, pause.name): pause for pause in ledger.pauses()},
        holds={(hold.kind, hold.name): hold for hold in ledger.holds()},
        pools=pools.read(instance, pools.names_of(limits, snapshot.queued.keys())),
    )
    return View(snapshot, now)


def _ledger(instance: DagsterInstance) -> Ledger:
    engine = pool.engine(instance)
    if engine is None:
        return PlainLedger(instance)
    migration.ensure(engine)
    return PostgresLedger(engine, identity="")

"""What holds of every selection, whatever the queue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from clt_queued_run_coordinator.queue.index import Index
from clt_queued_run_coordinator.queue.ledger import Reading
from clt_queued_run_coordinator.queue.limits import (
    POOL_STARTED_VARIABLE,
    FairSharing,
    Limits,
    limits_of,
)
from clt_queued_run_coordinator.queue.runs import ActiveRun, Kind, PoolDemand, QueuedRun
from clt_queued_run_coordinator.queue.selection import explain, select
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause, Pool, Snapshot, snapshot_of
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.launcher.runs import instance_from
from tests.unit.queue.queues import Queue, fair_limits, queues, used


@given(queues())
def test_no_limit_is_ever_exceeded(queue: Queue) -> None:
    selection, limits = select(queue.snapshot), queue.snapshot.limits
    before = used(queue, replace(selection, launches=()))
    after = used(queue, selection)

    for run in selection.launches:
        for constraint, limit in limits.constraints(run.kind):
            assert after[constraint] <= max(limit, before[constraint])
            assert before[constraint] < limit
    if limits.max_concurrent_runs != -1 and selection.launches:
        assert len(queue.active) + len(selection.launches) <= limits.max_concurrent_runs
    for location, room in queue.snapshot.room.items():
        assert sum(run.kind.location == location for run in selection.launches) <= room


@given(queues())
def test_no_run_is_blocked_while_everything_it_needs_is_free(queue: Queue) -> None:
    """A second selection on what is left launches nothing: there was no free capacity for any of it."""
    selection = select(queue.snapshot)
    launched = {run.run_id for run in selection.launches}
    active = [*queue.active, *(ActiveRun(r.run_id, r.kind, "STARTING", None) for r in selection.launches)]
    left = [run for run in queue.queued if run.run_id not in launched]
    again = snapshot_of(queue.snapshot.limits, left, active, now=queue.snapshot.now)
    room = {
        location: free - sum(run.kind.location == location for run in selection.launches)
        for location, free in queue.snapshot.room.items()
    }
    after = replace(
        queue.snapshot, queued=again.queued, active=again.active, counts=again.counts,
        shares=again.shares, pooled=again.pooled, room=room,
    )  # fmt: skip

    assert select(after).launches == ()


@given(queues())
def test_runs_of_a_kind_are_launched_first_in_first_out(queue: Queue) -> None:
    launched = select(queue.snapshot).launches
    for kind in {run.kind for run in launched}:
        waiting = [run for run in queue.queued if run.kind == kind and not _held(queue.snapshot, run)]
        chosen = [run for run in launched if run.kind == kind]
        assert chosen == waiting[: len(chosen)]


@given(queues())
def test_launches_go_by_priority_then_by_age(queue: Queue) -> None:
    ranks = [(-run.kind.priority, run.storage_id) for run in select(queue.snapshot).launches]
    assert ranks == sorted(ranks)


@given(queues(fair_limits, interventions=False), st.integers(0, 10))
def test_a_batch_is_the_beginning_of_the_whole(queue: Queue, size: int) -> None:
    assert select(queue.snapshot, at_most=size).launches == select(queue.snapshot).launches[:size]


@given(queues())
def test_every_waiting_run_is_explained_and_every_launch_is_next(queue: Queue) -> None:
    selection = select(queue.snapshot)
    launched = {run.run_id for run in selection.launches}
    for run in queue.queued:
        found = explain(queue.snapshot, run.run_id)
        assert found is not None
        assert 1 <= found.place <= found.waiting
        assert (found.reason.cause == "next") == (run.run_id in launched)


def test_a_run_that_does_not_launch_takes_no_slot() -> None:
    """Dagster's own daemon lets a run of a paused location take its tag's slot for that pass."""
    limits = Limits(by_key={"team": 1})
    paused = QueuedRun(1, "paused", "job", Kind(0, "etl", (("team", "red"),), None), 0)
    free = QueuedRun(2, "free", "job", Kind(0, "ml", (("team", "red"),), None), 0)
    snapshot = replace(
        snapshot_of(limits, [paused, free], [], now=10),
        holds={("location", "etl"): Hold("location", "etl", 20, "Its code server is away.")},
    )

    assert select(snapshot).launches == (free,)


def test_a_backfill_of_five_thousand_starves_nobody() -> None:
    limits = Limits(max_concurrent_runs=10, fair=FairSharing(key="user"))
    backfill = [_run(number, "backfill") for number in range(5000)]
    ann = [_run(5000 + number, "ann") for number in range(3)]
    active = [ActiveRun(f"active-{n}", backfill[0].kind, "STARTED", 1.0) for n in range(7)]

    launched = select(snapshot_of(limits, [*backfill, *ann], active, now=0)).launches

    assert [run.kind.tag("user") for run in launched] == ["ann", "ann", "ann"]


def test_weights_share_the_slots() -> None:
    limits = Limits(max_concurrent_runs=9, fair=FairSharing(key="user", weights={"ann": 2}))
    runs = [_run(number, user) for number, user in enumerate(["ann", "bob"] * 10)]

    launched = select(snapshot_of(limits, runs, [], now=0)).launches

    assert [run.kind.tag("user") for run in launched].count("ann") == 6


def test_a_run_that_waited_long_overtakes_a_higher_priority() -> None:
    limits = Limits(max_concurrent_runs=1, fair=FairSharing(key="user", ageing_seconds=60))
    old = QueuedRun(1, "old", "job", Kind(0, "etl", (("user", "ann"),), None), 0)
    urgent = QueuedRun(2, "urgent", "job", Kind(2, "etl", (("user", "ann"),), None), 100)

    assert select(snapshot_of(limits, [old, urgent], [], now=110)).launches == (urgent,)
    assert select(snapshot_of(limits, [old, urgent], [], now=180)).launches == (old,)


@pytest.mark.parametrize(("cause", "change", "sentence"), [
    ("max_concurrent_runs", {"limits": Limits(max_concurrent_runs=0)}, "Launching is stopped"),
    ("tag", {"limits": Limits(by_key={"team": 0})}, "The limit on tag team is reached: 0 may be active."),
    ("pause", {"pauses": {("location", "etl"): Pause("location", "etl", 0, "ann", "new disks")}},
     "Location etl was paused by ann: new disks."),
    ("hold", {"holds": {("location", "etl"): Hold("location", "etl", 9, "Host beta is full.")}},
     "Host beta is full."),
    ("busy", {"room": {"etl": 0}}, "Earlier launches of etl are still under way."),
])  # fmt: skip
def test_says_what_a_run_waits_for(cause: str, change: dict[str, object], sentence: str) -> None:
    run = QueuedRun(1, "run", "job", Kind(0, "etl", (("team", "red"),), None), 3)
    snapshot: Snapshot = replace(snapshot_of(Limits(), [run], [], now=5), **change)

    found = explain(snapshot, "run")

    assert found is not None
    assert (found.reason.cause, found.place, found.since) == (cause, 1, 3)
    assert found.reason.sentence.startswith(sentence)


def test_counts_the_place_among_those_that_wait_for_the_same() -> None:
    limits = Limits(by_value={("user", "ann"): 0})
    runs = [_run(1, "ann"), _run(2, "bob"), _run(3, "ann")]

    found = explain(snapshot_of(limits, runs, [], now=0), "run-3")

    assert found is not None
    assert (found.place, found.waiting) == (2, 2)


def _run(number: int, user: str) -> QueuedRun:
    return QueuedRun(number, f"run-{number}", "job", Kind(0, "etl", (("user", user),), None), 0)


def _held(snapshot: Snapshot, run: QueuedRun) -> bool:
    hold = snapshot.holds.get(("run", run.run_id))
    return hold is not None and hold.not_before > snapshot.now


@pytest.mark.parametrize(
    ("setting", "age", "launched"),
    [(None, 1.0, []), (None, 6.0, ["waits"]), ("60", 20.0, []), ("0", 1.0, ["waits"])],
)
def test_a_started_run_holds_its_pools_for_as_long_as_dagster_lets_it(
    setting: str | None,
    age: float,
    launched: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv(POOL_STARTED_VARIABLE, raising=False)
    if setting is not None:
        monkeypatch.setenv(POOL_STARTED_VARIABLE, setting)
    coordinator = {
        "module": "clt_queued_run_coordinator.coordinator",
        "class": "CLTQueuedRunCoordinator",
        "config": {"block_op_concurrency_limited_runs": {"enabled": True}},
    }
    with instance_from(tmp_path, {"run_coordinator": coordinator}) as instance:
        limits = limits_of(instance)
    now = 1_000_000.0
    kind = Kind(0, "etl", (), PoolDemand((("foo", 1),), ("foo",), unconstrained=False))
    index = Index(limits)
    waits, started = QueuedRun(2, "waits", "job", kind, now), ActiveRun("started", kind, "STARTED", now - age)
    index.load(Reading((waits,), (started,)))
    snapshot = replace(index.snapshot(now), pools={"foo": Pool(1, 0)})
    assert [run.run_id for run in select(snapshot).launches] == launched

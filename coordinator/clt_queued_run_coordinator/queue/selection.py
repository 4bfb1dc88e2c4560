"""Which queued runs may start now, and what each other one waits for. Pure: a snapshot in, values out."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dagster._core.instance.config import PoolGranularity

from clt_queued_run_coordinator.queue import reason as reasons
from clt_queued_run_coordinator.queue.limits import HOST_TAG, NO_LIMIT, Constraint, Limits
from clt_queued_run_coordinator.queue.reason import Reason
from clt_queued_run_coordinator.queue.runs import Kind, PoolDemand, QueuedRun
from clt_queued_run_coordinator.queue.snapshot import Snapshot

Rank = tuple[float, float, int]
"""Who goes first: the lowest of (minus priority, share, storage id)."""


@dataclass(frozen=True)
class Selection:
    """The runs to launch, in order; what each kind that was stopped waits for; what stopped all others."""

    launches: tuple[QueuedRun, ...]
    blocked: Mapping[Kind, Reason]
    rest: Reason | None

    def reason(self, kind: Kind) -> Reason:
        """Return what a run of this kind waits for, if it is not among the launches."""
        return self.blocked.get(kind) or self.rest or reasons.NEXT


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a run is not running: what it waits for, and its place among `waiting` runs that wait for it.

    `since` is when it was queued, in epoch seconds.
    """

    run_id: str
    reason: Reason
    place: int
    waiting: int
    since: float


def select(snapshot: Snapshot, *, at_most: int | None = None) -> Selection:
    """Choose the runs to launch now, highest priority first and first in, first out within it.

    Costs what it launches plus the number of kinds, whatever the number of runs: counters only grow while it
    chooses, so a kind that is blocked once stays blocked. A run that is not launched moves no counter.
    """
    tally = _Tally(snapshot)
    blocked: dict[Kind, Reason] = {}
    launches: list[QueuedRun] = []
    heads = list(_heads(snapshot))
    heapq.heapify(heads)
    while heads and (at_most is None or len(launches) < at_most):
        if tally.full():
            return Selection(tuple(launches), blocked, tally.full())
        rank, run, others = heads[0]
        current = tally.rank(run)
        if current > rank:
            heapq.heapreplace(heads, (current, run, others))
            continue
        stopped = tally.stops(run.kind)
        if stopped:
            blocked[run.kind] = stopped
            heapq.heappop(heads)
            continue
        launches.append(run)
        tally.launch(run.kind)
        following = next(others, None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (tally.rank(following), following, others))
    return Selection(tuple(launches), blocked, tally.full())


def explain(snapshot: Snapshot, run_id: str) -> Explanation | None:
    """Say what a queued run waits for; None if it is not in the queue."""
    selection = select(snapshot)
    launching = {run.run_id for run in selection.launches}
    line = sorted(
        (rank_of(snapshot.limits, run, 0, snapshot.now), run, reason)
        for run, reason in _reasons(snapshot, selection, launching)
    )
    found = next(((run, reason) for _, run, reason in line if run.run_id == run_id), None)
    if found is None:
        return None
    run, reason = found
    same = [other.run_id for _, other, why in line if (why.cause, why.name) == (reason.cause, reason.name)]
    return Explanation(
        run_id=run_id,
        reason=reason,
        place=same.index(run_id) + 1,
        waiting=len(same),
        since=run.queued_at,
    )


def rank_of(limits: Limits, run: QueuedRun, share: float, now: float) -> Rank:
    """Return the run's rank; its priority grows by one for every `ageing_seconds` it has waited."""
    priority = run.kind.priority
    if limits.fair and limits.fair.ageing_seconds:
        priority += int((now - run.queued_at) / limits.fair.ageing_seconds)
    return (-priority, share, run.storage_id)


def _reasons(
    snapshot: Snapshot, selection: Selection, launching: set[str]
) -> Iterator[tuple[QueuedRun, Reason]]:
    for kind, runs in snapshot.queued.items():
        for run in runs:
            held = snapshot.holds.get(("run", run.run_id))
            if run.run_id in launching:
                yield run, reasons.NEXT
            elif held and held.not_before > snapshot.now:
                yield run, reasons.hold("run", run.run_id, held.reason)
            else:
                yield run, selection.reason(kind)


Head = tuple[Rank, QueuedRun, Iterator[QueuedRun]]


def _heads(snapshot: Snapshot) -> Iterator[Head]:
    tally = _Tally(snapshot)
    for runs in snapshot.queued.values():
        others = _not_held(snapshot, runs)
        first = next(others, None)
        if first is not None:
            yield tally.rank(first), first, others


def _not_held(snapshot: Snapshot, runs: Iterable[QueuedRun]) -> Iterator[QueuedRun]:
    if not snapshot.holds:
        return iter(runs)
    return (
        run
        for run in runs
        if (held := snapshot.holds.get(("run", run.run_id))) is None or held.not_before <= snapshot.now
    )


@dataclass
class _Tally:
    """The snapshot's counters plus what this selection has launched."""

    snapshot: Snapshot
    launched: int = 0
    counts: Counter[Constraint] = field(default_factory=Counter)
    shares: Counter[str] = field(default_factory=Counter)
    pools: Counter[str] = field(default_factory=Counter)
    lanes: Counter[str | None] = field(default_factory=Counter)
    taken: Counter[str] | None = None

    def full(self) -> Reason | None:
        limit = self.snapshot.limits.max_concurrent_runs
        used = self.snapshot.active + self.launched
        return None if limit == NO_LIMIT or used < limit else reasons.all_runs(limit, used)

    def rank(self, run: QueuedRun) -> Rank:
        limits = self.snapshot.limits
        share = 0.0
        if limits.fair:
            group = run.kind.tag(limits.fair.key) or ""
            active = self.snapshot.shares.get(group, 0) + self.shares[group]
            share = active / limits.fair.weight(group)
        return rank_of(limits, run, share, self.snapshot.now)

    def stops(self, kind: Kind) -> Reason | None:
        return (
            self._paused(kind)
            or self._held(kind)
            or self._tags(kind)
            or self._pools(kind)
            or self._busy(kind)
        )

    def launch(self, kind: Kind) -> None:
        limits = self.snapshot.limits
        self.launched += 1
        self.lanes[kind.location] += 1
        for constraint, _ in limits.constraints(kind):
            self.counts[constraint] += 1
        if limits.fair:
            self.shares[kind.tag(limits.fair.key) or ""] += 1
        if kind.pools:
            for name, number in _slots(limits, kind.pools):
                self.pools[name] += number

    def _paused(self, kind: Kind) -> Reason | None:
        if not self.snapshot.pauses:
            return None
        for what, name in (
            ("location", kind.location),
            ("user", kind.tag(self.snapshot.limits.user_tag)),
            ("host", kind.tag(HOST_TAG)),
        ):
            found = self.snapshot.pauses.get((what, name)) if name else None
            if found:
                return reasons.pause(what, found.name, found.paused_by, found.reason)
        return None

    def _held(self, kind: Kind) -> Reason | None:
        if not self.snapshot.holds:
            return None
        for what, name in (("location", kind.location), ("host", kind.tag(HOST_TAG))):
            found = self.snapshot.holds.get((what, name)) if name else None
            if found and found.not_before > self.snapshot.now:
                return reasons.hold(what, found.name, found.reason)
        return None

    def _tags(self, kind: Kind) -> Reason | None:
        for constraint, limit in self.snapshot.limits.constraints(kind):
            used = self.snapshot.counts.get(constraint, 0) + self.counts[constraint]
            if used >= limit:
                return reasons.tag(constraint, limit, used)
        return None

    def _busy(self, kind: Kind) -> Reason | None:
        room = self.snapshot.room.get(kind.location)
        full = room is not None and self.lanes[kind.location] >= room
        return reasons.busy(kind.location) if full else None

    def _pools(self, kind: Kind) -> Reason | None:
        limits = self.snapshot.limits
        if not limits.pools_block or kind.pools is None:
            return None
        if limits.pool_granularity == PoolGranularity.RUN:
            every = (self._pool(name, pending=False) for name in kind.pools.every)
            return next((full for full in every if full), None)
        # A run starts if any of its first ops can: one without a pool, or one whose pool has a slot.
        if kind.pools.unconstrained:
            return None
        roots = [self._pool(name, pending=True) for name, _ in kind.pools.root]
        # Without a pooled first op nothing lets it start; Dagster's counter says so too.
        if not roots:
            return reasons.pool(kind.pools.every[0] if kind.pools.every else "", 0, 0)
        return roots[0] if all(roots) else None

    def _pool(self, name: str, *, pending: bool) -> Reason | None:
        pool = self.snapshot.pools.get(name)
        if pool is None:
            return None
        used = self._in_progress()[name] + self.pools[name] + (pool.pending if pending else 0)
        free = pool.slots - used + self.snapshot.limits.pool_buffer
        return None if free > 0 else reasons.pool(name, pool.slots, used)

    def _in_progress(self) -> Counter[str]:
        if self.taken is None:
            self.taken = Counter()
            limits = self.snapshot.limits
            for run in self.snapshot.pooled:
                if run.kind.pools and _counts(limits, run.status, run.started_at, self.snapshot.now):
                    for name, number in _slots(limits, run.kind.pools):
                        self.taken[name] += number
        return self.taken


def _slots(limits: Limits, demand: PoolDemand) -> Iterable[tuple[str, int]]:
    if limits.pool_granularity == PoolGranularity.RUN:
        return ((name, 1) for name in demand.every)
    return demand.root


def _counts(limits: Limits, status: str, started_at: float | None, now: float) -> bool:
    if limits.pool_granularity == PoolGranularity.RUN or status == "STARTING":
        return True
    return status == "STARTED" and bool(started_at) and now - (started_at or 0) < limits.pool_started_seconds

"""One moment of the queue, as a value: what waits, what is active, what is paused."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clt_queued_run_coordinator.queue.limits import Constraint, Limits
from clt_queued_run_coordinator.queue.runs import ActiveRun, Kind, QueuedRun

PauseKind = Literal["location", "user", "host"]
HoldKind = Literal["run", "location", "host"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody paused a location, user or host. `since` is in epoch seconds."""

    kind: str
    name: str
    since: float
    paused_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A launcher said "not now". `not_before` is in epoch seconds."""

    kind: str
    name: str
    not_before: float
    reason: str


@dataclass(frozen=True, slots=True)
class Pool:
    """An op pool: its slots, and the steps that already wait for one."""

    slots: int
    pending: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What selection decides on; it reads these and changes none.

    `queued` has the runs of each kind first in, first out. `room` says how many launches each location can
    take at once; absent is any number. `now` is in epoch seconds.
    """

    limits: Limits
    queued: Mapping[Kind, Iterable[QueuedRun]]
    active: int
    counts: Mapping[Constraint, int]
    shares: Mapping[str, int]
    pooled: Collection[ActiveRun] = ()
    pools: Mapping[str, Pool] = field(default_factory=dict)
    pauses: Mapping[tuple[str, str], Pause] = field(default_factory=dict)
    holds: Mapping[tuple[str, str], Hold] = field(default_factory=dict)
    room: Mapping[str | None, int] = field(default_factory=dict)
    now: float = 0


def snapshot_of(
    limits: Limits, queued: Iterable[QueuedRun], active: Iterable[ActiveRun], *, now: float
) -> Snapshot:
    """Build the snapshot of these runs, without pauses, holds, pools and rooms."""
    kinds: dict[Kind, list[QueuedRun]] = {}
    for run in sorted(queued, key=lambda run: run.storage_id):
        kinds.setdefault(run.kind, []).append(run)
    counts: dict[Constraint, int] = {}
    shares: dict[str, int] = {}
    holding = list(active)
    for holder in holding:
        count(limits, holder.kind, 1, counts, shares)
    return Snapshot(
        limits=limits,
        queued=kinds,
        active=len(holding),
        counts=counts,
        shares=shares,
        pooled=[run for run in holding if run.kind.pools],
        now=now,
    )


def count(
    limits: Limits, kind: Kind, step: int, counts: dict[Constraint, int], shares: dict[str, int]
) -> None:
    """Add `step` runs of a kind to the counters that they move."""
    for constraint, _ in limits.constraints(kind):
        counts[constraint] = counts.get(constraint, 0) + step
    if limits.fair:
        group = kind.tag(limits.fair.key) or ""
        shares[group] = shares.get(group, 0) + step

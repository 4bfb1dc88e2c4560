"""Random queues: limits, what waits and what is active, as hypothesis strategies."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from clt_queued_run_coordinator.queue.limits import Constraint, FairSharing, Limits
from clt_queued_run_coordinator.queue.runs import ActiveRun, Kind, PoolDemand, QueuedRun
from clt_queued_run_coordinator.queue.selection import Selection
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause, Pool, Snapshot, snapshot_of
from dagster._core.instance.config import PoolGranularity
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from hypothesis import strategies as st

LOCATIONS = ("etl", "reporting", "ml")
USERS = ("ann", "bob")
TEAMS = ("red", "blue")
POOLS = ("db", "api")

limit_sizes = st.integers(0, 3)

limits = st.builds(
    Limits,
    max_concurrent_runs=st.one_of(st.just(-1), st.integers(0, 8)),
    by_key=st.dictionaries(st.just("team"), limit_sizes),
    by_value=st.dictionaries(
        st.tuples(st.just("code_location"), st.sampled_from(LOCATIONS)), limit_sizes, max_size=3
    ),
    by_each_value=st.dictionaries(st.just("user"), limit_sizes),
    pools_block=st.booleans(),
    pool_granularity=st.sampled_from(PoolGranularity),
    pool_buffer=st.integers(0, 1),
    fair=st.none(),
)

demands = st.none() | st.builds(
    lambda root, later, free: PoolDemand(
        tuple(sorted(root.items())), tuple(sorted({*root, *later})), free or not root
    ),
    st.dictionaries(st.sampled_from(POOLS), st.integers(1, 2)),
    st.sets(st.sampled_from(POOLS)),
    st.booleans(),
).filter(lambda demand: bool(demand.every))


@st.composite
def kinds(draw: st.DrawFn) -> Kind:
    location = draw(st.sampled_from(LOCATIONS))
    tags = {"code_location": location, "user": draw(st.sampled_from(USERS))}
    if draw(st.booleans()):
        tags["team"] = draw(st.sampled_from(TEAMS))
    return Kind(draw(st.integers(-1, 1)), location, tuple(sorted(tags.items())), draw(demands))


@dataclass(frozen=True)
class Queue:
    """A random queue and the snapshot of it."""

    queued: Sequence[QueuedRun]
    active: Sequence[ActiveRun]
    snapshot: Snapshot


@st.composite
def queues(
    draw: st.DrawFn, with_limits: st.SearchStrategy[Limits] = limits, *, interventions: bool = True
) -> Queue:
    numbers = itertools.count(1)
    found = draw(with_limits)
    queued = [
        QueuedRun(number, f"run-{number}", "job", kind, float(number))
        for kind, number in zip(draw(st.lists(kinds(), max_size=10)), numbers, strict=False)
    ]
    statuses = st.sampled_from(["STARTING", "STARTED", "CANCELING"])
    active = [
        ActiveRun(f"active-{number}", kind, draw(statuses), draw(st.sampled_from([None, 990.0, 998.0])))
        for number, kind in enumerate(draw(st.lists(kinds(), max_size=5)))
    ]
    snapshot = snapshot_of(found, queued, active, now=1000.0)
    pools = {name: draw(st.builds(Pool, st.integers(0, 3), st.integers(0, 2)))
             for name in draw(st.sets(st.sampled_from(POOLS)))}  # fmt: skip
    extra = {}
    if interventions:
        paused = draw(st.sets(st.sampled_from([*(("location", name) for name in LOCATIONS), ("user", "ann")]),
                              max_size=1))  # fmt: skip
        extra["pauses"] = {key: Pause(*key, 0.0, "ann", "") for key in paused}
        held = draw(st.sets(st.sampled_from([("location", "ml"), ("run", "run-1"), ("run", "run-3")])))
        extra["holds"] = {key: Hold(*key, draw(st.sampled_from([999.0, 1001.0])), "later") for key in held}
        extra["room"] = {name: draw(st.integers(0, 3)) for name in draw(st.sets(st.sampled_from(LOCATIONS)))}
    view = Snapshot(**{**vars(snapshot), "pools": pools, **extra})
    return Queue(queued, active, view)


fair_limits = st.builds(
    Limits,
    max_concurrent_runs=st.integers(0, 8),
    fair=st.builds(
        FairSharing,
        key=st.just("user"),
        weights=st.dictionaries(st.sampled_from(USERS), st.sampled_from([0.5, 1.0, 2.0])),
        ageing_seconds=st.sampled_from([0.0, 300.0]),
    ),
)


def used(queue: Queue, selection: Selection) -> Counter[Constraint]:
    """Count, run by run, what is active once the selection is launched."""
    counter: Counter[Constraint] = Counter()
    for run in [*queue.active, *selection.launches]:
        counter.update(constraint for constraint, _ in queue.snapshot.limits.constraints(run.kind))
    return counter


def as_dagster_run(run: QueuedRun | ActiveRun) -> DagsterRun:
    """Return the run as Dagster's own selection reads it."""
    from dagster._core.remote_origin import (
        GrpcServerCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.storage.dagster_run import RunOpConcurrency

    kind = run.kind
    origin = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name=kind.location)
    demand = kind.pools
    return DagsterRun(
        job_name="job",
        run_id=run.run_id,
        status=DagsterRunStatus.QUEUED if isinstance(run, QueuedRun) else DagsterRunStatus(run.status),
        tags={**dict(kind.tags), "dagster/priority": str(kind.priority)},
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, "repository"), "job"),
        run_op_concurrency=demand
        and RunOpConcurrency(
            all_pools=set(demand.every),
            root_key_counts=dict(demand.root),
            has_unconstrained_root_nodes=demand.unconstrained,
        ),
    )

"""Our selection beside Dagster's own, on the same random queues.

They may differ on purpose where a run that does not launch takes a slot in Dagster's pass (docs/queue.md):
a run that an op pool blocks. Without such a run they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from clt_queued_run_coordinator.queue.limits import Limits
from clt_queued_run_coordinator.queue.runs import Kind, PoolDemand, QueuedRun
from clt_queued_run_coordinator.queue.selection import select
from clt_queued_run_coordinator.queue.snapshot import Pool, snapshot_of
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator, RunQueueConfig
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.event_log.base import PoolLimit
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._time import datetime_from_timestamp
from dagster._utils.concurrency import ConcurrencyKeyInfo
from hypothesis import given

from tests.unit.queue.queues import Queue, as_dagster_run, limits, queues


class Instance:
    """Answers what Dagster's selection asks of an instance, from a queue in memory."""

    global_op_concurrency_default_limit = None

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.run_coordinator = QueuedRunCoordinator()
        self.event_log_storage = self

    def get_runs(self, filters: Any, cursor: str | None, limit: int, ascending: bool) -> list[Any]:
        del filters, limit
        assert ascending
        return [] if cursor else [as_dagster_run(run) for run in self._queue.queued]

    def get_run_records(self, filters: Any) -> list[RunRecord]:
        del filters
        moment = datetime_from_timestamp(1)
        return [
            RunRecord(
                storage_id=1, dagster_run=as_dagster_run(run), create_timestamp=moment,
                update_timestamp=moment, start_time=run.started_at, end_time=None,
            )
            for run in self._queue.active
        ]  # fmt: skip

    def get_concurrency_keys(self) -> set[str]:
        return set(self._queue.snapshot.pools)

    def get_pool_limits(self) -> Sequence[PoolLimit]:
        return [
            PoolLimit(name=name, limit=pool.slots, from_default=False)
            for name, pool in self._queue.snapshot.pools.items()
        ]

    def get_concurrency_infos(self, names: Sequence[str]) -> dict[str, ConcurrencyKeyInfo]:
        return {name: self.get_concurrency_info(name) for name in names}

    def get_concurrency_info(self, name: str) -> ConcurrencyKeyInfo:
        pool = self._queue.snapshot.pools[name]
        waiting = [SimpleNamespace(run_id="other") for _ in range(pool.pending)]
        slots = [None] * pool.slots
        info: Any = SimpleNamespace(slot_count=len(slots), pending_steps=waiting)
        return info


def stock_selection(queue: Queue) -> list[str]:
    """Return the runs that Dagster's own daemon would launch, by its own private method."""
    ours = queue.snapshot.limits
    config = RunQueueConfig(
        max_concurrent_runs=ours.max_concurrent_runs,
        tag_concurrency_limits=[
            *({"key": key, "limit": limit} for key, limit in ours.by_key.items()),
            *({"key": key, "value": value, "limit": limit} for (key, value), limit in ours.by_value.items()),
            *(
                {"key": key, "value": {"applyLimitPerUniqueValue": True}, "limit": limit}
                for key, limit in ours.by_each_value.items()
            ),
        ],
        should_block_op_concurrency_limited_runs=ours.pools_block,
        op_concurrency_slot_buffer=ours.pool_buffer,
    )
    concurrency: Any = SimpleNamespace(
        run_queue_config=config, pool_config=SimpleNamespace(pool_granularity=ours.pool_granularity)
    )
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    instance: Any = Instance(queue)
    chosen = daemon._get_runs_to_dequeue(instance, concurrency, fixed_iteration_time=1000.0)
    return [run.run_id for run in chosen]


without_pools = limits.map(lambda found: replace(found, pools_block=False))
pools_only = limits.map(
    lambda found: Limits(
        max_concurrent_runs=found.max_concurrent_runs,
        pools_block=True,
        pool_granularity=found.pool_granularity,
        pool_buffer=found.pool_buffer,
    )
)


@given(queues(without_pools, interventions=False))
def test_launches_the_same_runs_in_the_same_order_as_dagster(queue: Queue) -> None:
    assert [run.run_id for run in select(queue.snapshot).launches] == stock_selection(queue)


@given(queues(pools_only, interventions=False))
def test_pools_block_the_same_runs_as_in_dagster(queue: Queue) -> None:
    # Dagster reads the clock for runs that started in the last seconds; these started long ago.
    long_ago = [replace(run, started_at=1.0) for run in queue.active]
    snapshot = snapshot_of(queue.snapshot.limits, queue.queued, long_ago, now=1000.0)
    same = Queue(queue.queued, long_ago, replace(snapshot, pools=queue.snapshot.pools))

    assert [run.run_id for run in select(same.snapshot).launches] == stock_selection(same)


def test_differs_where_a_pool_blocks_a_run_that_then_takes_a_tags_slot_in_dagster() -> None:
    limits = Limits(by_key={"team": 1}, pools_block=True)
    demand = PoolDemand((("db", 1),), ("db",), unconstrained=False)
    blocked = QueuedRun(1, "blocked", "job", Kind(0, "etl", (("team", "red"),), demand), 0)
    free = QueuedRun(2, "free", "job", Kind(0, "etl", (("team", "red"),), None), 0)
    snapshot = replace(snapshot_of(limits, [blocked, free], [], now=1.0), pools={"db": Pool(0, 0)})
    queue = Queue([blocked, free], [], snapshot)

    assert stock_selection(queue) == []
    assert select(snapshot).launches == (free,)

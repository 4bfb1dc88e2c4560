"""The limits on active runs, read from the instance as Dagster reads them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.config import PoolGranularity
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig

from clt_queued_run_coordinator.queue.runs import Kind

NO_LIMIT = -1
# As in Dagster's op_concurrency_limits_counter.py.
POOL_STARTED_VARIABLE = "DAGSTER_OP_CONCURRENCY_KEYS_ALLOTTED_FOR_STARTED_RUN_SECONDS"
POOL_STARTED_SECONDS = 5
# The launcher in this project writes it; a run that is requeued keeps it.
HOST_TAG = "multihost_docker/host_name"

Constraint = tuple[str, ...]
"""The name of one counter: ("key", K), ("value", K, V) or ("each", K, V)."""


@dataclass(frozen=True, kw_only=True)
class FairSharing:
    """Between runs of equal priority, the group with the fewest active runs for its weight goes first.

    A run gains one priority for every `ageing_seconds` that it waits; 0 switches that off.
    """

    key: str
    weights: Mapping[str, float] = field(default_factory=dict)
    ageing_seconds: float = 0

    def weight(self, group: str) -> float:
        """Return the weight of a group; 1 where none is configured."""
        return self.weights.get(group, 1)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be active at once. `max_concurrent_runs` is -1 for no limit and 0 to launch nothing.

    `pool_started_seconds` is how long a started run counts as using its op pools: its ops may not have asked
    for their slots yet.
    """

    max_concurrent_runs: int = NO_LIMIT
    by_key: Mapping[str, int] = field(default_factory=dict)
    by_value: Mapping[tuple[str, str], int] = field(default_factory=dict)
    by_each_value: Mapping[str, int] = field(default_factory=dict)
    pools_block: bool = False
    pool_granularity: PoolGranularity = PoolGranularity.OP
    pool_buffer: int = 0
    pool_started_seconds: int = POOL_STARTED_SECONDS
    fair: FairSharing | None = None
    user_tag: str = "user"

    @property
    def keys(self) -> frozenset[str]:
        """The tags that a limit, a share or a pause reads."""
        fair = [self.fair.key] if self.fair else []
        named = [key for key, _ in self.by_value]
        return frozenset([*self.by_key, *named, *self.by_each_value, *fair, self.user_tag, HOST_TAG])

    def constraints(self, kind: Kind) -> Iterator[tuple[Constraint, int]]:
        """Yield each counter that a run of this kind moves, with its limit."""
        for key, value in kind.tags:
            if key in self.by_key:
                yield ("key", key), self.by_key[key]
            if (key, value) in self.by_value:
                yield ("value", key, value), self.by_value[key, value]
            if key in self.by_each_value:
                yield ("each", key, value), self.by_each_value[key]


def limits_of(instance: DagsterInstance) -> Limits:
    """Read the limits, `concurrency` of dagster.yaml applied, as Dagster's own daemon does."""
    concurrency = instance.get_concurrency_config()
    queue = concurrency.run_queue_config
    if queue is None:
        raise TypeError(f"{type(instance.run_coordinator).__name__} has no queue: configure one that has")
    extensions = getattr(instance.run_coordinator, "extensions", None)
    return from_queue_config(
        queue,
        pool_granularity=concurrency.pool_config.pool_granularity,
        fair=fair_sharing_of(extensions),
        user_tag=getattr(extensions, "user_tag", "user"),
        pool_started_seconds=int(os.environ.get(POOL_STARTED_VARIABLE, POOL_STARTED_SECONDS)),
    )


def from_queue_config(
    queue: RunQueueConfig,
    *,
    pool_granularity: PoolGranularity | None = None,
    fair: FairSharing | None = None,
    user_tag: str = "user",
    pool_started_seconds: int = POOL_STARTED_SECONDS,
) -> Limits:
    """Translate Dagster's queue configuration; of two limits on the same tag the last one counts there."""
    by_key: dict[str, int] = {}
    by_value: dict[tuple[str, str], int] = {}
    by_each_value: dict[str, int] = {}
    for limit in _plain(queue.tag_concurrency_limits):
        key, value = limit["key"], limit.get("value")
        if isinstance(value, str):
            by_value[key, value] = limit["limit"]
        elif value and value["applyLimitPerUniqueValue"]:
            by_each_value[key] = limit["limit"]
        else:
            by_key[key] = limit["limit"]
    return Limits(
        max_concurrent_runs=queue.max_concurrent_runs,
        by_key=by_key,
        by_value=by_value,
        by_each_value=by_each_value,
        pools_block=queue.should_block_op_concurrency_limited_runs,
        pool_granularity=pool_granularity or PoolGranularity.OP,
        pool_buffer=queue.op_concurrency_slot_buffer,
        pool_started_seconds=pool_started_seconds,
        fair=fair,
        user_tag=user_tag,
    )


def fair_sharing_of(extensions: object) -> FairSharing | None:
    """Return the fair sharing that the coordinator's own keys configure, if they do."""
    configured = getattr(extensions, "fair_sharing", None)
    if configured is None:
        return None
    return FairSharing(
        key=configured.key, weights=dict(configured.weights), ageing_seconds=configured.ageing_seconds
    )


def _plain(limits: Sequence[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
    return limits or ()

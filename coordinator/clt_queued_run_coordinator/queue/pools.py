"""Reads op pools as Dagster's own counter does, creating the default limit of one that is new."""

from collections.abc import Collection, Mapping

from dagster import DagsterInstance
from dagster._core.instance.config import PoolGranularity

from clt_queued_run_coordinator.queue.limits import Limits
from clt_queued_run_coordinator.queue.runs import Kind
from clt_queued_run_coordinator.queue.snapshot import Pool


def names_of(limits: Limits, kinds: Collection[Kind]) -> frozenset[str]:
    """Return the pools that decide about these kinds: those of first ops, or all at run granularity."""
    if not limits.pools_block:
        return frozenset()
    names: set[str] = set()
    for kind in kinds:
        if kind.pools is None:
            continue
        whole = limits.pool_granularity == PoolGranularity.RUN
        names.update(kind.pools.every if whole else (name for name, _ in kind.pools.root))
    return frozenset(names)


def read(instance: DagsterInstance, names: Collection[str]) -> Mapping[str, Pool]:
    """Return the pools among these that have a limit."""
    if not names:
        return {}
    storage = instance.event_log_storage
    configured = storage.get_concurrency_keys()
    default = instance.global_op_concurrency_default_limit
    limits = {pool.name: pool for pool in storage.get_pool_limits()}
    for name in names:
        known = limits.get(name)
        if (known is None and default) or (known and known.from_default and known.limit != default):
            storage.initialize_concurrency_limit_to_default(name)
    infos = {name: storage.get_concurrency_info(name) for name in sorted(configured & set(names))}
    return {name: Pool(info.slot_count, len(info.pending_steps)) for name, info in infos.items()}

"""What `concurrency` in dagster.yaml silently replaces in a run coordinator's own configuration."""

from collections.abc import Iterator, Mapping
from typing import Any


def overridden(configured: Mapping[str, Any], concurrency: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each key that `concurrency` replaces, with both values and the fix.

    Dagster refuses this combination for its own `QueuedRunCoordinator` but not for a subclass
    (`_validate_concurrency_config`), and then obeys `concurrency`.
    """
    runs = concurrency.get("runs") or {}
    for key in ("max_concurrent_runs", "tag_concurrency_limits"):
        if key in runs and configured.get(key) is not None:
            yield _sentence(key, configured[key], f"concurrency.runs.{key}", runs[key])
    pools = concurrency.get("pools") or {}
    blocking = configured.get("block_op_concurrency_limited_runs") or {}
    buffer = blocking.get("op_concurrency_slot_buffer")
    if buffer is not None and "op_granularity_run_buffer" in pools:
        yield _sentence(
            "block_op_concurrency_limited_runs.op_concurrency_slot_buffer",
            buffer,
            "concurrency.pools.op_granularity_run_buffer",
            pools["op_granularity_run_buffer"],
        )


def _sentence(key: str, ours: object, theirs_key: str, theirs: object) -> str:
    return (
        f"run_coordinator.config.{key}: {ours!r} has NO effect: {theirs_key}: {theirs!r} in dagster.yaml"
        " overrides it. Remove one of the two."
    )

"""A queued and an active run, as far as limits can tell them apart."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import DagsterRun
from dagster._core.storage.tags import PRIORITY_TAG


@dataclass(frozen=True, slots=True)
class PoolDemand:
    """The op pools that a run needs; Dagster computes them when it creates the run."""

    root: tuple[tuple[str, int], ...]
    every: tuple[str, ...]
    unconstrained: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """What limits see of a run. Two runs of one kind are blocked together and free together.

    `tags` holds only those keys that some limit, share or pause reads, in sorted order.
    """

    priority: int
    location: str | None
    tags: tuple[tuple[str, str], ...]
    pools: PoolDemand | None

    def tag(self, key: str) -> str | None:
        """Return the value of a tag that limits read, or None."""
        for name, value in self.tags:
            if name == key:
                return value
        return None


@dataclass(frozen=True, slots=True, eq=False)
class QueuedRun:
    """A run in the queue. `storage_id` is its place in Dagster's FIFO; `queued_at` is in epoch seconds."""

    storage_id: int
    run_id: str
    job_name: str
    kind: Kind
    queued_at: float


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRun:
    """A run that holds slots: STARTING, STARTED or CANCELING. `started_at` is in epoch seconds."""

    run_id: str
    kind: Kind
    status: str
    started_at: float | None


def kind_of(run: DagsterRun, keys: frozenset[str]) -> Kind:
    """Return the kind of a run that Dagster has deserialised."""
    demand = run.run_op_concurrency
    origin = run.remote_job_origin
    return Kind(
        priority=priority_of(run.tags),
        location=origin.location_name if origin else None,
        tags=_relevant(run.tags, keys),
        pools=_demand(demand.root_key_counts, demand.all_pools or (), demand.has_unconstrained_root_nodes)
        if demand
        else None,
    )


def kind_of_body(body: str, keys: frozenset[str]) -> Kind:
    """Return the kind of a run from its stored body, a tenth of the cost of deserialising it.

    The names are those under which Dagster stores a run: `PipelineRun` in `dagster_run.py`.
    """
    stored: dict[str, Any] = json.loads(body)
    tags = stored.get("tags") or {}
    origin = stored.get("external_pipeline_origin") or {}
    repository = origin.get("external_repository_origin") or {}
    location = (repository.get("repository_location_origin") or {}).get("location_name")
    demand = stored.get("run_op_concurrency")
    return Kind(
        priority=priority_of(tags),
        location=location,
        tags=_relevant(tags, keys),
        pools=_demand(
            demand.get("root_key_counts") or {},
            (demand.get("all_pools") or {}).get("__set__") or (),
            bool(demand.get("has_unconstrained_root_nodes")),
        )
        if demand
        else None,
    )


def priority_of(tags: Mapping[str, str]) -> int:
    """Return the run's priority as Dagster reads it: 0 where it is absent or no number."""
    try:
        return int(tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0


def _relevant(tags: Mapping[str, str], keys: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in tags.items() if key in keys))


def _demand(root: Mapping[str, int], every: Iterable[str], unconstrained: bool) -> PoolDemand:
    return PoolDemand(tuple(sorted(root.items())), tuple(sorted(every)), unconstrained)

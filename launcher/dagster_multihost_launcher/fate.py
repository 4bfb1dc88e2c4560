"""What becomes of a run's container: a decision from what its host and the storage say."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dagster import DagsterRunStatus, RunRecord

from dagster_multihost_launcher.worker import FIRST_ATTEMPT, Labels, record_of

_LEAVES_BY_ITSELF = 15.0  # seconds; a worker says that its run has ended, and then its interpreter ends
_LAUNCH_HAS_MOVED_ON = 300.0  # seconds; long after any launch that still means this container
_DEAD = frozenset({"exited", "dead"})


class Fate(Enum):
    """What to do with a container."""

    KEEP = "keep"
    REMOVE = "remove"
    STOP = "stop"
    KILL = "kill"


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of the launcher, as its host lists it. `created` counts seconds since 1970."""

    host_name: str
    container_id: str
    name: str
    state: str
    run_id: str | None
    attempt: int = FIRST_ATTEMPT
    step_key: str | None = None
    created: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What the storage says of a run. `ended` counts seconds since 1970; None if it is not finished."""

    ended: float | None
    successful: bool = False
    host_name: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ages:
    """For how many seconds after its run's end a dead container stays."""

    successful: float
    failed: float


def container_from(host_name: str, listed: Mapping[str, Any], labels: Labels) -> Container:
    """Read an entry of Docker's list."""
    found = listed.get("Labels") or {}
    attempt = labels.attempt(found)
    return Container(
        host_name=host_name,
        container_id=listed["Id"],
        name=listed["Names"][0].lstrip("/") if listed.get("Names") else listed["Id"][:12],
        state=listed["State"],
        run_id=labels.run_id(found),
        attempt=FIRST_ATTEMPT if attempt is None else attempt,
        step_key=labels.step_key(found),
        created=float(listed.get("Created") or 0),
    )


def run_state(record: RunRecord) -> RunState:
    """Read a run's record."""
    run, put = record.dagster_run, record_of(record.dagster_run)
    ended = None
    if run.is_finished:
        ended = record.end_time if record.end_time is not None else record.update_timestamp.timestamp()
    return RunState(
        ended=ended,
        successful=run.status == DagsterRunStatus.SUCCESS,
        host_name=put.host_name if put else None,
        attempt=put.attempt if put else None,
    )


def fate(container: Container, run: RunState | None, *, ages: Ages, now: float) -> tuple[Fate, str]:
    """Return what to do, and why.

    A container whose run the storage does not know is kept: it may belong to another deployment on the
    same host. One of an unfinished run is kept, unless a later attempt or another host has its place.
    """
    if run is None:
        return Fate.KEEP, "its run is unknown here"
    if run.ended is None:
        return _of_unfinished(container, run, now)
    if container.state == "created":
        return Fate.REMOVE, "it never started, and its run is finished"
    if container.state in _DEAD:
        old = now - run.ended >= (ages.successful if run.successful else ages.failed)
        return (Fate.REMOVE, "its run ended") if old else (Fate.KEEP, "its run ended only a while ago")
    if now - run.ended >= _LEAVES_BY_ITSELF:
        return Fate.STOP, f"it is {container.state}"
    return Fate.KEEP, f"it is {container.state}"


def _of_unfinished(container: Container, run: RunState, now: float) -> tuple[Fate, str]:
    replaced = run.attempt is not None and container.attempt < run.attempt
    if replaced and container.state not in _DEAD:
        return Fate.KILL, "a later attempt has taken its place"
    elsewhere = run.attempt == container.attempt and run.host_name != container.host_name
    if elsewhere and container.state == "created" and now - container.created >= _LAUNCH_HAS_MOVED_ON:
        return Fate.REMOVE, "its run was put elsewhere"
    return Fate.KEEP, "its run is not finished"

"""The container of a run's attempt: its name, its labels, and the tags that record where it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import DagsterRun

HOST_TAG = "multihost_docker/host_name"
CONTAINER_ID_TAG = "multihost_docker/container_id"
CONTAINER_NAME_TAG = "multihost_docker/container_name"
LAUNCHER_TYPE_TAG = "multihost_docker/launcher_type"
DOCKER, DEFAULT = "docker", "default"
FIRST_ATTEMPT = 1


def container_name(run_id: str, attempt: int) -> str:
    """Return the one name that an attempt's container can have: Docker itself then prevents a second."""
    return f"dagster-run-{run_id[:8]}-{attempt}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Where a run's container was put, as its tags say."""

    host_name: str
    container_id: str
    attempt: int

    def tags(self, run_id: str) -> dict[str, str]:
        """Return the run tags that say this."""
        return {
            HOST_TAG: self.host_name,
            CONTAINER_ID_TAG: self.container_id,
            CONTAINER_NAME_TAG: container_name(run_id, self.attempt),
            LAUNCHER_TYPE_TAG: DOCKER,
        }


def record_of(run: DagsterRun) -> Record | None:
    """Return what the run's own tags say, or None.

    A re-execution inherits its parent's tags, and a tag written around the start can be lost
    (Dagster rewrites the run's body), so the container's name must be this run's.
    """
    tags = run.tags
    name, _, attempt = tags.get(CONTAINER_NAME_TAG, "").rpartition("-")
    if f"{name}-" != container_name(run.run_id, 0)[:-1] or not attempt.isdigit():
        return None
    if HOST_TAG not in tags or CONTAINER_ID_TAG not in tags:
        return None
    return Record(host_name=tags[HOST_TAG], container_id=tags[CONTAINER_ID_TAG], attempt=int(attempt))


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of run containers under one prefix."""

    prefix: str

    def of(self, run: DagsterRun, *, location: str, host_name: str, attempt: int) -> dict[str, str]:
        """Return all labels of an attempt's container."""
        return {
            f"{self.prefix}/run_id": run.run_id,
            f"{self.prefix}/job_name": run.job_name,
            f"{self.prefix}/location_name": location,
            f"{self.prefix}/host_name": host_name,
            f"{self.prefix}/attempt": str(attempt),
            self.managed: "true",
        }

    @property
    def plan(self) -> str:
        """The label with the fingerprint of what a container was made from."""
        return f"{self.prefix}/plan"

    @property
    def managed(self) -> str:
        """The label that every container of this launcher has."""
        return f"{self.prefix}/managed"

    def attempt(self, labels: Mapping[str, str] | None) -> int | None:
        """Return which attempt of its run this is, or None if the labels do not say."""
        text = (labels or {}).get(f"{self.prefix}/attempt", "")
        return int(text) if text.isdigit() else None

    def step_key(self, labels: Mapping[str, str] | None) -> str | None:
        """Return which step this container executes, or None if it is a run's worker."""
        return (labels or {}).get(self.step)

    @property
    def step(self) -> str:
        """The label that names a step, on containers that execute one."""
        return f"{self.prefix}/step_key"

    def run_id(self, labels: Mapping[str, str] | None) -> str | None:
        """Return whose container this is, or None if the labels do not say."""
        return (labels or {}).get(f"{self.prefix}/run_id")


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A run's container as its host describes it now."""

    host_name: str
    container_id: str
    state: Mapping[str, Any]
    config: Mapping[str, Any]
    image_id: str
    created: str

    @property
    def status(self) -> str:
        """Docker's word: created, running, paused, restarting, removing, exited or dead."""
        return str(self.state.get("Status", "unknown"))

    @property
    def alive(self) -> bool:
        """Whether the run may be going on in it."""
        return self.status in ("running", "paused", "restarting")


def worker_from(host_name: str, inspected: Mapping[str, Any]) -> Worker:
    """Read Docker's answer to an inspect."""
    return Worker(
        host_name=host_name,
        container_id=inspected["Id"],
        state=inspected.get("State") or {},
        config=inspected.get("Config") or {},
        image_id=str(inspected.get("Image", "")),
        created=str(inspected.get("Created", "")),
    )

"""Run containers that are left on the hosts: listing them, and removing those whose run is long over."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster import DagsterInstance, RunsFilter
from docker.errors import APIError, NotFound

from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.fate import Ages, Container, Fate, RunState, container_from, fate, run_state
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.worker import Labels

_BATCH = 200  # runs a query
_REMOVAL_IN_PROGRESS = 409


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What all hosts have; `unreachable` are those that did not answer, with the reason."""

    containers: tuple[Container, ...]
    unreachable: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a clean-up did. `kept` counts by reason."""

    removed: tuple[Container, ...]
    kept: Mapping[str, int]
    unreachable: Mapping[str, str]


def inventory(hosts: Hosts, labels: Labels) -> Inventory:
    """Ask every host once for the launcher's containers, in whatever state."""
    containers: list[Container] = []
    unreachable: dict[str, str] = {}
    for connection in hosts:
        try:
            containers += listed(connection, labels)
        except (HostUnreachable, APIError) as error:
            unreachable[connection.name] = str(error)
    return Inventory(containers=tuple(containers), unreachable=unreachable)


def clean_up(instance: DagsterInstance, hosts: Hosts, labels: Labels, *, max_age_hours: float) -> Outcome:
    """Remove the dead containers of runs that ended more than `max_age_hours` ago.

    A container of a run that is not finished is never touched, nor is one whose run the storage does not
    know: it may belong to another deployment on the same host.
    """
    found = inventory(hosts, labels)
    runs = run_states(instance, found.containers)
    ages = Ages(successful=max_age_hours * 3600, failed=max_age_hours * 3600)
    removed: list[Container] = []
    kept: Counter[str] = Counter()
    unreachable = dict(found.unreachable)
    for container in found.containers:
        run = runs.get(container.run_id or "")
        verdict, reason = fate(container, run, ages=ages, now=time.time())
        if verdict is not Fate.REMOVE or run is None or run.ended is None:
            kept[reason] += 1
            continue
        try:
            remove(hosts.named(container.host_name), container.container_id)
            removed.append(container)
        except (HostUnreachable, APIError) as error:
            unreachable[container.host_name] = str(error)
    return Outcome(removed=tuple(removed), kept=kept, unreachable=unreachable)


def listed(connection: HostConnection, labels: Labels) -> list[Container]:
    """Ask one host for the launcher's containers."""
    with connection.api() as api:
        found = api.containers(all=True, filters={"label": f"{labels.managed}=true"})
    return [container_from(connection.name, each, labels) for each in found]


def run_states(instance: DagsterInstance, containers: Iterable[Container]) -> Mapping[str, RunState]:
    """Return what the storage knows of the containers' runs, by run id."""
    run_ids = sorted({container.run_id for container in containers if container.run_id})
    states: dict[str, RunState] = {}
    for start in range(0, len(run_ids), _BATCH):
        records = instance.get_run_records(RunsFilter(run_ids=run_ids[start : start + _BATCH]))
        states |= {record.dagster_run.run_id: run_state(record) for record in records}
    return states


def remove(connection: HostConnection, container_id: str, *, force: bool = False) -> None:
    """Remove a container; one that is gone already, or on its way, is as good."""
    try:
        with connection.api() as api:
            api.remove_container(container_id, v=True, force=force)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != _REMOVAL_IN_PROGRESS or "in progress" not in str(error.explanation):
            raise


def by_host_and_state(containers: Sequence[Container]) -> Mapping[str, Mapping[str, int]]:
    """Return how many containers each host has in each state."""
    counts: dict[str, dict[str, int]] = {}
    for container in containers:
        states = counts.setdefault(container.host_name, {})
        states[container.state] = states.get(container.state, 0) + 1
    return counts

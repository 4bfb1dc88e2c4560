"""Run containers that are left on the hosts: listing them, and removing those whose run is long over."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster import DagsterInstance, RunRecord, RunsFilter
from docker.errors import APIError, NotFound

from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.worker import Labels

_BATCH = 200  # runs a query
_STATES_OF_THE_DEAD = frozenset({"created", "exited", "dead"})


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of the launcher, as its host lists it."""

    host_name: str
    container_id: str
    name: str
    state: str
    run_id: str | None


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
            containers += _listed(connection, labels)
        except (HostUnreachable, APIError) as error:
            unreachable[connection.name] = str(error)
    return Inventory(containers=tuple(containers), unreachable=unreachable)


def clean_up(instance: DagsterInstance, hosts: Hosts, labels: Labels, *, max_age_hours: float) -> Outcome:
    """Remove the dead containers of runs that ended more than `max_age_hours` ago.

    A container of a run that is not finished is never touched, nor is one whose run the storage does not
    know: it may belong to another deployment on the same host.
    """
    found = inventory(hosts, labels)
    ended = _ended_before(instance, found.containers, time.time() - max_age_hours * 3600)
    removed: list[Container] = []
    kept: dict[str, int] = {}
    unreachable = dict(found.unreachable)
    for container in found.containers:
        reason = _reason_to_keep(container, ended)
        if reason:
            kept[reason] = kept.get(reason, 0) + 1
            continue
        try:
            _remove(hosts.named(container.host_name), container)
            removed.append(container)
        except (HostUnreachable, APIError) as error:
            unreachable[container.host_name] = str(error)
    return Outcome(removed=tuple(removed), kept=kept, unreachable=unreachable)


def _listed(connection: HostConnection, labels: Labels) -> list[Container]:
    with connection.api() as api:
        listed = api.containers(all=True, filters={"label": f"{labels.managed}=true"})
    return [
        Container(
            host_name=connection.name,
            container_id=each["Id"],
            name=each["Names"][0].lstrip("/") if each.get("Names") else each["Id"][:12],
            state=each["State"],
            run_id=labels.run_id(each.get("Labels")),
        )
        for each in listed
    ]


def _ended_before(
    instance: DagsterInstance, containers: Iterable[Container], moment: float
) -> Mapping[str, bool | None]:
    """Return for each known run whether it ended before the moment, or None if it is not finished."""
    run_ids = sorted({container.run_id for container in containers if container.run_id})
    answers: dict[str, bool | None] = {}
    for start in range(0, len(run_ids), _BATCH):
        records = instance.get_run_records(RunsFilter(run_ids=run_ids[start : start + _BATCH]))
        answers |= {record.dagster_run.run_id: _ended(record, moment) for record in records}
    return answers


def _ended(record: RunRecord, moment: float) -> bool | None:
    if not record.dagster_run.is_finished:
        return None
    end = record.end_time if record.end_time is not None else record.update_timestamp.timestamp()
    return end < moment


def _reason_to_keep(container: Container, ended: Mapping[str, bool | None]) -> str | None:
    if container.run_id is None or container.run_id not in ended:
        return "its run is unknown here"
    if ended[container.run_id] is None:
        return "its run is not finished"
    if container.state not in _STATES_OF_THE_DEAD:
        return f"it is {container.state}"
    return None if ended[container.run_id] else "its run ended only a while ago"


def _remove(connection: HostConnection, container: Container) -> None:
    try:
        with connection.api() as api:
            api.remove_container(container.container_id, v=True)
    except NotFound:
        return


def by_host_and_state(containers: Sequence[Container]) -> Mapping[str, Mapping[str, int]]:
    """Return how many containers each host has in each state."""
    counts: dict[str, dict[str, int]] = {}
    for container in containers:
        states = counts.setdefault(container.host_name, {})
        states[container.state] = states.get(container.state, 0) + 1
    return counts

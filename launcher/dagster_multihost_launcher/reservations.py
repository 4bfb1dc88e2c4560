"""Places on hosts: what the storage counts, and what launches under way in this process are about to take."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from dagster_multihost_launcher import placement
from dagster_multihost_launcher.placement import Carried, Share, Wanted
from dagster_multihost_launcher.routing import location_of
from dagster_multihost_launcher.settings import Host
from dagster_multihost_launcher.worker import HOST_TAG, record_of

CPUS_TAG = "multihost_docker/cpus"
MEMORY_TAG = "multihost_docker/memory"
_ACTIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def tags_of(share: Share) -> dict[str, str]:
    """Return the run tags from which another launch reads what this run takes of its host."""
    found = {CPUS_TAG: f"{share.cpus:g}" if share.cpus else "", MEMORY_TAG: str(share.memory or "")}
    return {key: value for key, value in found.items() if value}


def carried(instance: DagsterInstance, hosts: Sequence[Host], *, besides: DagsterRun) -> Carried:
    """Return what other unfinished runs take of each host, as the instance's storage has it: one query."""
    shares: dict[str, list[Share]] = {host.name: [] for host in hosts}
    recorded = RunsFilter(statuses=_ACTIVE, tags={HOST_TAG: list(shares)})
    for run in instance.get_runs(recorded):
        record = record_of(run)  # None for a tag that is only inherited from a run it re-executes
        if record and record.host_name in shares and run.run_id != besides.run_id:
            shares[record.host_name].append(_share(run))
    return shares


class Reservation:
    """A place on `host`, held for a launch in this process until its tags are in the storage."""

    def __init__(self, host: Host, give_back: Callable[[], None]) -> None:
        self.host = host
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Give the place back: from now on the run's tags count. Harmless to repeat."""
        give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()


class Reservations:
    """Chooses hosts, one launch at a time, so that two launches never take the same last place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: list[tuple[str, Share]] = []

    @contextlib.contextmanager
    def best(
        self, hosts: Sequence[Host], wanted: Wanted, stored: Callable[[], Carried]
    ) -> Iterator[Reservation | list[str]]:
        """Hold a place on the best host that has room, or yield the reasons why none has.

        A single host without capacities needs no counting, so `stored` is not called for it.
        """
        with self._lock:
            now = self._with_under_way(hosts, stored()) if placement.needs_counting(hosts) else {}
            host = placement.best(hosts, wanted, now)
            taken = (host.name, wanted.share(host)) if host else None
            if taken:
                self._under_way.append(taken)
        if host is None or taken is None:
            yield [reason for host in hosts for reason in placement.reasons(host, wanted, now)]
            return
        reservation = Reservation(host, lambda: self._back(taken))
        try:
            yield reservation
        finally:
            reservation.release()

    def _with_under_way(self, hosts: Sequence[Host], stored: Carried) -> Carried:
        return {
            host.name: [
                *stored.get(host.name, ()),
                *(share for name, share in self._under_way if name == host.name),
            ]
            for host in hosts
        }

    def _back(self, taken: tuple[str, Share]) -> None:
        with self._lock:
            self._under_way.remove(taken)


def may_hold_a_container(run: DagsterRun, attempt: int, pool: Sequence[Host]) -> list[Host]:
    """Return only the host where an earlier launch of this very attempt may have left a container.

    A start whose answer was lost can have succeeded; elsewhere it would run twice.
    """
    record = record_of(run)
    if not record or record.attempt != attempt:
        return []
    return [host for host in pool if host.name == record.host_name]


def _share(run: DagsterRun) -> Share:
    cpus, memory = run.tags.get(CPUS_TAG, ""), run.tags.get(MEMORY_TAG, "")
    try:
        return Share(location=location_of(run), cpus=float(cpus or 0), memory=int(memory or 0))
    except ValueError:  # a person edited them
        return Share(location=location_of(run))

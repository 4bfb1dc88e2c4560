"""Which host of a pool takes a run: the least loaded that has room."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from dagster_multihost_launcher.settings import Host
from dagster_multihost_launcher.worker import HOST_TAG, record_of

_ACTIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def active_runs(instance: DagsterInstance, host_name: str, *, besides: DagsterRun) -> int:
    """Return how many other unfinished runs the instance's storage has on a host."""
    count = instance.get_runs_count(RunsFilter(statuses=_ACTIVE, tags={HOST_TAG: host_name}))
    # The run itself counts only by its own or by a tag inherited from the run that it re-executes.
    return max(count - (besides.tags.get(HOST_TAG) == host_name), 0)


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


class Placement:
    """Chooses hosts, one launch at a time, so that two launches never take the same last place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def best(self, pool: Sequence[Host], active: Callable[[str], int]) -> Iterator[Reservation | None]:
        """Hold a place on the least loaded host that has room, or yield None.

        Equally loaded hosts rank as in the configuration. A single host without `max_runs` needs no
        counting, so `active`, which gives a host's unfinished runs, is not called for it.
        """
        with self._lock:
            host = self._choose(pool, active)
            if host:
                self._under_way[host.name] += 1
        if host is None:
            yield None
            return
        reservation = Reservation(host, lambda name=host.name: self._back(name))  # type: ignore[misc]
        try:
            yield reservation
        finally:
            reservation.release()

    def _choose(self, pool: Sequence[Host], active: Callable[[str], int]) -> Host | None:
        if len(pool) == 1 and pool[0].max_runs is None:
            return pool[0]
        load = {host.name: active(host.name) + self._under_way[host.name] for host in pool}
        free = [host for host in pool if host.max_runs is None or load[host.name] < host.max_runs]
        return min(free, key=lambda host: load[host.name], default=None)

    def _back(self, name: str) -> None:
        with self._lock:
            self._under_way[name] -= 1


def pinned(run: DagsterRun, attempt: int, pool: Sequence[Host]) -> list[Host]:
    """Return only the host where an earlier launch of this very attempt may have left a container.

    A start whose answer was lost can have succeeded; elsewhere it would run twice.
    """
    record = record_of(run)
    if not record or record.attempt != attempt:
        return list(pool)
    return [host for host in pool if host.name == record.host_name] or list(pool)

"""What launches have to wait for or keep away from: kept here, and in the ledger for everybody else."""

import threading
from collections.abc import Iterable, Mapping

from clt_queued_run_coordinator.queue.snapshot import Hold


class Holds:
    """The holds of this daemon. Launch workers add them, the pass reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: dict[tuple[str, str], Hold] = {}
        self._until_free: set[str] = set()
        self._paused_hosts: frozenset[str] = frozenset()

    @property
    def paused_hosts(self) -> frozenset[str]:
        """The hosts that take no run because somebody paused them."""
        return self._paused_hosts

    def pause_hosts(self, names: Iterable[str]) -> None:
        """Set the paused hosts; a location that waited for room may have some on a host that is back."""
        with self._lock:
            before, self._paused_hosts = self._paused_hosts, frozenset(names)
            if before - self._paused_hosts:
                for location in self._until_free:
                    self._holds.pop(("location", location), None)
                self._until_free.clear()

    def load(self, holds: Iterable[Hold]) -> None:
        """Start again from what an earlier leader kept."""
        with self._lock:
            self._holds = {(hold.kind, hold.name): hold for hold in holds}
            self._until_free.clear()

    def add(self, hold: Hold, *, until_free: bool = False) -> None:
        """Add one; `until_free` ends it as soon as a run of that location ends."""
        with self._lock:
            self._holds[hold.kind, hold.name] = hold
            if until_free:
                self._until_free.add(hold.name)

    def freed(self, location: str | None) -> None:
        """A run of this location ended: a host that was full has a place again."""
        with self._lock:
            if location in self._until_free:
                self._until_free.discard(location)
                self._holds.pop(("location", location), None)

    def current(self, now: float) -> Mapping[tuple[str, str], Hold]:
        """Return the holds that are not over, `now` in epoch seconds."""
        with self._lock:
            over = [key for key, hold in self._holds.items() if hold.not_before <= now]
            for key in over:
                del self._holds[key]
            return dict(self._holds)

    def held(self, location: str, now: float) -> bool:
        """Say whether this location waits."""
        with self._lock:
            hold = self._holds.get(("location", location))
            return hold is not None and hold.not_before > now

    def next_end(self) -> float | None:
        """Return when the first one is over, in epoch seconds."""
        with self._lock:
            return min((hold.not_before for hold in self._holds.values()), default=None)

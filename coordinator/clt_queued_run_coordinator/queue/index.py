"""The queue in memory: kept up to date by what changes, so that a pass reads nothing."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from clt_queued_run_coordinator.queue.ledger import Reading
from clt_queued_run_coordinator.queue.limits import Constraint, Limits
from clt_queued_run_coordinator.queue.runs import ActiveRun, Kind, QueuedRun
from clt_queued_run_coordinator.queue.snapshot import Snapshot, count


class Line:
    """The runs of one kind, first in, first out. A run that left is dropped when it comes to the front."""

    def __init__(self, live: Mapping[str, QueuedRun]) -> None:
        self._live = live
        self._runs: deque[QueuedRun] = deque()
        self.length = 0

    def add(self, run: QueuedRun) -> None:
        """Put a run at its place; one that comes back to the queue has an old one."""
        last = self._runs[-1] if self._runs else None
        self._runs.append(run)
        self.length += 1
        if last is not None and last.storage_id > run.storage_id:
            self._runs = deque(sorted(self._present(), key=lambda run: run.storage_id))

    def __iter__(self) -> Iterator[QueuedRun]:
        while self._runs and not self._is_live(self._runs[0]):
            self._runs.popleft()
        return self._present()

    def _present(self) -> Iterator[QueuedRun]:
        return (run for run in self._runs if self._is_live(run))

    def _is_live(self, run: QueuedRun) -> bool:
        return self._live.get(run.run_id) is run


class Index:
    """Queued runs by kind, active runs, and the counters that limits read. One thread uses it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.queued: dict[str, QueuedRun] = {}
        self.active: dict[str, ActiveRun] = {}
        self._lines: dict[Kind, Line] = {}
        self._counts: dict[Constraint, int] = {}
        self._shares: dict[str, int] = {}
        self._pooled: dict[str, ActiveRun] = {}

    def load(self, reading: Reading) -> None:
        """Start again from a full read."""
        self.queued = {}
        self.active = {}
        self._lines = {}
        self._counts = {}
        self._shares = {}
        self._pooled = {}
        self.update((), reading)

    def update(self, run_ids: Collection[str], reading: Reading) -> None:
        """Replace what is known of these runs by what was read of them."""
        for run_id in run_ids:
            self.forget(run_id)
        for run in reading.queued:
            self.enqueue(run)
        for active in reading.active:
            self.activate(active)

    def enqueue(self, run: QueuedRun) -> None:
        """Add a queued run."""
        self.forget(run.run_id)
        self.queued[run.run_id] = run
        if run.kind not in self._lines:
            self._lines[run.kind] = Line(self.queued)
        self._lines[run.kind].add(run)

    def activate(self, run: ActiveRun) -> None:
        """Add an active run to the counters."""
        self.forget(run.run_id)
        self.active[run.run_id] = run
        count(self.limits, run.kind, 1, self._counts, self._shares)
        if run.kind.pools:
            self._pooled[run.run_id] = run

    def started(self, run_id: str, status: str, at: float) -> bool:
        """Note an active run's new status; False if the run is not known as active."""
        run = self.active.get(run_id)
        if run is None:
            return False
        changed = replace(run, status=status, started_at=run.started_at or at)
        self.active[run_id] = changed
        if run.kind.pools:
            self._pooled[run_id] = changed
        return True

    def forget(self, run_id: str) -> Kind | None:
        """Remove a run from wherever it is; return the kind of an active one, whose slots are free now."""
        queued = self.queued.pop(run_id, None)
        if queued:
            line = self._lines[queued.kind]
            line.length -= 1
            if not line.length:
                del self._lines[queued.kind]
        active = self.active.pop(run_id, None)
        if active is None:
            return None
        self._pooled.pop(run_id, None)
        count(self.limits, active.kind, -1, self._counts, self._shares)
        return active.kind

    def snapshot(self, now: float) -> Snapshot:
        """Return a view of this moment; it is good until the index changes."""
        return Snapshot(
            limits=self.limits,
            queued=self._lines,
            active=len(self.active),
            counts=self._counts,
            shares=self._shares,
            pooled=self._pooled.values(),
            now=now,
        )

    def statuses(self) -> dict[str, str]:
        """Return the status that each known run has here."""
        active = {run_id: run.status for run_id, run in self.active.items()}
        return dict.fromkeys(self.queued, "QUEUED") | active

    def lengths(self) -> Mapping[Kind, int]:
        """Return how many runs of each kind wait."""
        return {kind: line.length for kind, line in self._lines.items()}

    def queued_before(self, moment: float) -> list[QueuedRun]:
        """Return the runs that were queued before a moment in epoch seconds; costs what it returns."""
        found = []
        for line in self._lines.values():
            for run in line:
                if run.queued_at >= moment:
                    break
                found.append(run)
        return found

"""Keeps the index, decides, claims and hands over: the queue's one thread of decisions."""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from dagster import DagsterInstance

from clt_queued_run_coordinator.queue import pools
from clt_queued_run_coordinator.queue.holds import Holds
from clt_queued_run_coordinator.queue.index import Index
from clt_queued_run_coordinator.queue.lanes import Lanes
from clt_queued_run_coordinator.queue.ledger import Ledger
from clt_queued_run_coordinator.queue.limits import Limits
from clt_queued_run_coordinator.queue.mailbox import Changes
from clt_queued_run_coordinator.queue.observer import Observer
from clt_queued_run_coordinator.queue.reason import Reason
from clt_queued_run_coordinator.queue.runs import ActiveRun, Kind, QueuedRun
from clt_queued_run_coordinator.queue.selection import Selection, select
from clt_queued_run_coordinator.queue.snapshot import Pause, Pool, Snapshot

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

# One statement claims so many: more only delays the first of them.
CLAIM_BATCH = 50
# A run that starts soon needs no explanation; the ones that wait get theirs a few hundred at a time.
EXPLAIN_AFTER_SECONDS = 10.0
EXPLAIN_BATCH = 200
EXPIRE_BATCH = 500

# What is over in a moment is not worth a line in a run's log.
_PASSING = {"next", "busy"}
_ACTIVE = {"starting", "started", "canceling"}


class Dispatcher:
    """Not thread-safe: the daemon's thread calls it. Launches run in the lanes' threads.

    `stale_after` is the seconds after which a queued run expires; None is never.
    """

    def __init__(
        self,
        instance: DagsterInstance,
        *,
        limits: Limits,
        ledger: Ledger,
        lanes: Lanes,
        holds: Holds,
        observer: Observer,
        stale_after: int | None = None,
    ) -> None:
        self._instance = instance
        self._limits = limits
        self._ledger = ledger
        self._lanes = lanes
        self._holds = holds
        self._observer = observer
        self._stale_after = stale_after
        self._index = Index(limits)
        self._pauses: Mapping[tuple[str, str], Pause] = {}
        self._pools: Mapping[str, Pool] = {}
        self._pools_known: frozenset[str] = frozenset()
        self._explained: dict[str, str] = {}
        self._reconciled_at = 0.0

    def load(self, now: float) -> None:
        """Read everything, as a new leader or after notifications may have been missed."""
        self._reconciled_at = now
        self._index.load(self._ledger.everything(self._limits.keys))
        self._holds.load(self._ledger.holds())
        self._explained = dict(self._ledger.explained())
        self._read_pauses()
        self._read_pools()

    def reload(self) -> None:
        """Read runs and pools again; holds and explanations stay."""
        self._index.load(self._ledger.everything(self._limits.keys))
        self._read_pools()

    def reconcile(self, now: float) -> int:
        """Compare the index with storage by status alone and mend it; return how many runs differed."""
        since, self._reconciled_at = self._reconciled_at, now
        # A second of overlap: a row's time is taken before it becomes visible.
        differing = self._ledger.changed(self._index.statuses(), since - 1)
        self._read(differing)
        self._read_pauses()
        self._read_pools()
        return len(differing)

    def apply(self, changes: Changes, now: float) -> None:
        """Bring the index up to date; a run that ended costs no read, one that was queued costs one row."""
        unknown: list[str] = []
        for run_id, status in changes.statuses.items():
            if status == "queued":
                unknown.append(run_id)
            elif status in _ACTIVE:
                if not self._index.started(run_id, status.upper(), now):
                    unknown.append(run_id)
            else:
                freed = self._index.forget(run_id)
                if freed:
                    self._holds.freed(freed.location)
        if unknown:
            self._read(unknown)
        if "pauses" in changes.topics:
            self._read_pauses()
        if "pools" in changes.topics or not self._pool_names() <= self._pools_known:
            self._read_pools()

    def dispatch(self, now: float) -> int:
        """Select, claim and hand over one batch; return how many runs were claimed."""
        began = time.monotonic()
        selection = select(self._snapshot(now), at_most=CLAIM_BATCH)
        if not selection.launches:
            return 0
        claimed = self._ledger.claim(selection.launches, now)
        taken = {run.queued.run_id for run in claimed}
        for run in selection.launches:
            if run.run_id in taken:
                self._index.activate(ActiveRun(run.run_id, run.kind, "STARTING", None))
                self._explained.pop(run.run_id, None)
            else:
                # Canceled, claimed by another daemon, or this one leads no more.
                self._index.forget(run.run_id)
        self._lanes.put(claimed)
        if len(taken) < len(selection.launches):
            self._read([run.run_id for run in selection.launches if run.run_id not in taken])
        self._observer.passed(seconds=time.monotonic() - began, launched=len(claimed))
        return len(claimed)

    def give_back_stuck(self, now: float) -> int:
        """Return runs to the queue that wait behind launches which do not come back."""
        stuck = self._lanes.stuck()
        if stuck:
            claims = [claimed.claim for claimed in stuck]
            self._ledger.give_back(claims, "launches of its location do not come back.", now)
            self._read([claim.run_id for claim in claims])
        return len(stuck)

    def expire(self, now: float) -> int:
        """Cancel what waited for longer than it may; return how many runs."""
        seconds = self._stale_after
        if seconds is None:
            return 0
        late = self._index.queued_before(now - seconds)[:EXPIRE_BATCH]
        if not late:
            return 0
        expired = set(self._ledger.expire(late, seconds, now))
        for run in late:
            if run.run_id in expired:
                self._index.forget(run.run_id)
                self._observer.expired(location=run.kind.location)
        return len(expired)

    def explain(self, now: float) -> int:
        """Write on runs that have waited a while what they wait for, where that changed; return how many."""
        selection: Selection | None = None
        sentences: dict[QueuedRun, str] = {}
        reasons: dict[Kind, Reason] = {}
        for run in self._index.queued.values():
            if now - run.queued_at < EXPLAIN_AFTER_SECONDS:
                continue
            selection = selection or select(self._snapshot(now))
            reason = reasons.get(run.kind)
            if reason is None:
                reason = reasons[run.kind] = selection.reason(run.kind)
            if reason.cause in _PASSING:
                continue
            sentence = reason.sentence
            if self._explained.get(run.run_id) != sentence:
                sentences[run] = sentence
                if len(sentences) == EXPLAIN_BATCH:
                    break
        if sentences:
            self._ledger.explain(sentences, now)
            self._explained.update({run.run_id: sentence for run, sentence in sentences.items()})
        return len(sentences)

    def measure(self) -> None:
        """Tell the observer how long the queue is."""
        depth: dict[tuple[str | None, int], int] = {}
        for kind, length in self._index.lengths().items():
            key = (kind.location, kind.priority)
            depth[key] = depth.get(key, 0) + length
        self._observer.depth(queued=depth, active=len(self._index.active))

    def has_pools(self) -> bool:
        """Say whether a queued run needs an op pool; Dagster frees their slots without a word."""
        return bool(self._pool_names())

    def _snapshot(self, now: float) -> Snapshot:
        view = self._index.snapshot(now)
        locations = {kind.location for kind in view.queued}
        return replace(
            view,
            pools=self._pools,
            pauses=self._pauses,
            holds=self._holds.current(now),
            room={location: self._lanes.room(location) for location in locations},
        )

    def _read(self, run_ids: Collection[str]) -> None:
        if run_ids:
            self._index.update(run_ids, self._ledger.some(run_ids, self._limits.keys))

    def _read_pauses(self) -> None:
        self._pauses = {(pause.kind, pause.name): pause for pause in self._ledger.pauses()}
        self._holds.pause_hosts(name for kind, name in self._pauses if kind == "host")

    def _read_pools(self) -> None:
        names = self._pool_names()
        self._pools = pools.read(self._instance, names)
        self._pools_known = names

    def _pool_names(self) -> frozenset[str]:
        return pools.names_of(self._limits, self._index.lengths().keys())

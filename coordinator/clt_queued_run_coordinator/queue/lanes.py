"""Launches runs: a lane per location, so that a slow or dead one keeps nobody else waiting."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from clt_queued_run_coordinator.queue.ledger import Claim, Claimed, Ledger

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

WIDTH = 8
# A launcher that only sends a request is fed in batches; one that waits for a host is handed one run at a
# time, so that a crash leaves as few launches in doubt as there are workers.
FAST_SECONDS = 0.05
BATCH_SECONDS = 0.25
LARGEST_BATCH = 50
# What waits in a lane is STARTING already: about a second's worth, so that nothing waits long.
ROOM_SECONDS = 1.0
LARGEST_ROOM = 200
# A first launch that takes longer is slow, before it has come back.
SURELY_SLOW_SECONDS = 1.0
# Dagster fails a run that is STARTING for 180 s: what waits behind a launch that hangs goes back long before.
STUCK_SECONDS = 10.0
IDLE_SECONDS = 5.0
RETRY_SECONDS = 0.5
# A process may be stopped and continued anywhere, and another one may lead since. A launch therefore follows
# its hand-over within this time, or asks again; no recovery touches a hand-over that young (recovery.py).
CONFIRMED_SECONDS = 2.0

_Item = tuple[float, Claimed]

# False says that the run went back to the queue, and its claim with it.
Launch = Callable[[Claimed], bool]


class Lane:
    """The launches of one location, by up to `width` workers that live while there is work."""

    def __init__(
        self, name: str, *, width: int, ledger: Ledger, launch: Launch, freed: Callable[[], None]
    ) -> None:
        self._name = name
        self._width = width
        self._ledger = ledger
        self._launch = launch
        self._freed = freed
        self._condition = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._batches: list[deque[_Item]] = []
        self._launching: set[str] = set()
        self._done: list[Claim] = []
        self._settling: set[str] = set()
        self._workers = 0
        self._seconds: float | None = None

    def put(self, claimed: Iterable[Claimed]) -> None:
        """Queue claimed runs for their launcher."""
        with self._condition:
            self._waiting.extend((_now(), run) for run in claimed)
            self._hire()
            self._condition.notify_all()

    def room(self) -> int:
        """Return how many runs this lane can hand over without letting them wait behind a slow launch."""
        with self._condition:
            behind = len(self._waiting) + sum(map(len, self._batches))
            if self._fast():
                return max(0, self._worth(ROOM_SECONDS, LARGEST_ROOM) - behind)
            return max(0, self._width - len(self._launching) - behind)

    def holding(self) -> set[str]:
        """Return the runs whose claim is not settled yet and is this lane's business."""
        with self._condition:
            behind = {run.queued.run_id for line in (self._waiting, *self._batches) for _, run in line}
            return behind | self._launching | self._settling | {claim.run_id for claim in self._done}

    def stuck(self) -> list[Claimed]:
        """Take out the runs that waited too long behind launches that do not come back."""
        late = _now() - STUCK_SECONDS
        taken: list[Claimed] = []
        with self._condition:
            if self._seconds is None and self._waiting and _now() - self._waiting[0][0] > SURELY_SLOW_SECONDS:
                self._seconds = SURELY_SLOW_SECONDS
                self._hire()
            for line in (self._waiting, *self._batches):
                while line and line[0][0] < late:
                    taken.append(line.popleft()[1])
        return taken

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every launch came back and was noted, `timeout` seconds at most; say whether so."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._busy(), timeout=timeout)

    def _busy(self) -> bool:
        return bool(self._waiting or self._launching or self._done or self._settling or any(self._batches))

    def _fast(self) -> bool:
        return self._seconds is not None and self._seconds < FAST_SECONDS

    def _worth(self, seconds: float, largest: int) -> int:
        """Return how many launches take so many seconds."""
        return min(largest, max(1, int(seconds / max(self._seconds or 1.0, 1e-6))))

    def _hire(self) -> None:
        slow = self._seconds is not None and not self._fast()
        wanted = min(self._width, len(self._launching) + len(self._waiting)) if slow else 1
        while self._workers < wanted:
            self._workers += 1
            name = f"dagfleet-launch-{self._name}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        batch: deque[_Item] = deque()
        with self._condition:
            self._batches.append(batch)
        while (done := self._next(batch)) is not None:
            confirmed = self._hand_over(batch, done)
            while batch:
                if _now() - confirmed > CONFIRMED_SECONDS:
                    confirmed = self._hand_over(batch, [])
                elif not self._launch_one(batch):
                    break
            self._freed()

    def _next(self, batch: deque[_Item]) -> list[Claim] | None:
        """Fill the batch and return what is to be noted as done; None ends the worker."""
        with self._condition:
            if not self._waiting and not self._done:
                self._condition.wait_for(lambda: self._waiting or self._done, timeout=IDLE_SECONDS)
            if not self._waiting and not self._done:
                self._workers -= 1
                self._batches = [other for other in self._batches if other is not batch]
                return None
            size = self._worth(BATCH_SECONDS, LARGEST_BATCH) if self._fast() else 1
            batch.extend(self._waiting.popleft() for _ in range(min(size, len(self._waiting))))
            done, self._done = self._done, []
            self._settling.update(claim.run_id for claim in done)
            return done

    def _hand_over(self, batch: deque[_Item], done: list[Claim]) -> float:
        """Leave in the batch what may go to its launcher now; return when that was asked.

        What may not go was never launched, so it goes back, unless somebody moved it meanwhile.
        """
        asked = _now()
        claims = [run.claim for _, run in list(batch)]
        try:
            going = self._ledger.hand_over(claims, done)
            refused = [claim for claim in claims if claim.run_id not in going]
            if refused:
                self._ledger.give_back(refused, "another daemon leads the queue now.", time.time())
        except Exception as error:
            logger.warning("Launches of %s are put off, the database does not answer: %s", self._name, error)
            with self._condition:
                self._done += done
                self._settling.difference_update(claim.run_id for claim in done)
                batch.clear()
                self._condition.notify_all()
            time.sleep(RETRY_SECONDS)
            return asked
        with self._condition:
            allowed = [item for item in batch if item[1].queued.run_id in going]
            batch.clear()
            batch.extend(allowed)
            self._settling.difference_update(claim.run_id for claim in done)
            self._condition.notify_all()
        return asked

    def _launch_one(self, batch: deque[_Item]) -> bool:
        """Launch the first run; False if launches became slow, and the rest waits for its turn again."""
        with self._condition:
            if not batch:
                return False
            _, run = batch.popleft()
            self._launching.add(run.queued.run_id)
        started = _now()
        try:
            settled = self._launch(run)
        except Exception:
            logger.exception("The launch of run %s could not be settled.", run.queued.run_id)
            settled = False
        self._learn(_now() - started)
        with self._condition:
            self._launching.discard(run.queued.run_id)
            if settled:
                self._done.append(run.claim)
            fast = self._fast()
            if not fast:
                self._waiting.extendleft(reversed(batch))
                batch.clear()
                self._hire()
            self._condition.notify_all()
            return fast

    def _learn(self, seconds: float) -> None:
        before = self._seconds
        self._seconds = seconds if before is None else 0.7 * before + 0.3 * seconds


def _now() -> float:
    # Unlike the monotonic clock this one runs on while the machine sleeps.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lanes:
    """All lanes, made as locations come up."""

    def __init__(self, *, width: int, ledger: Ledger, launch: Launch, freed: Callable[[], None]) -> None:
        self._width = width
        self._ledger = ledger
        self._launch = launch
        self._freed = freed
        self._lanes: dict[str | None, Lane] = {}

    def put(self, claimed: Iterable[Claimed]) -> None:
        """Queue claimed runs in the lanes of their locations."""
        by_location: dict[str | None, list[Claimed]] = {}
        for run in claimed:
            by_location.setdefault(run.queued.kind.location, []).append(run)
        for location, runs in by_location.items():
            self._lane(location).put(runs)

    def room(self, location: str | None) -> int:
        """Return how many launches a location can take now."""
        lane = self._lanes.get(location)
        return self._width if lane is None else lane.room()

    def holding(self) -> set[str]:
        """Return every run whose claim is not settled."""
        return set().union(*(lane.holding() for lane in self._lanes.values()))

    def stuck(self) -> list[Claimed]:
        """Take out the runs that waited too long."""
        return [run for lane in self._lanes.values() for run in lane.stuck()]

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every lane is idle, `timeout` seconds at most; say whether they are."""
        deadline = time.monotonic() + timeout
        return all(lane.wait_idle(max(0.0, deadline - time.monotonic())) for lane in self._lanes.values())

    def _lane(self, location: str | None) -> Lane:
        if location not in self._lanes:
            self._lanes[location] = Lane(
                location or "no location",
                width=self._width,
                ledger=self._ledger,
                launch=self._launch,
                freed=self._freed,
            )
        return self._lanes[location]

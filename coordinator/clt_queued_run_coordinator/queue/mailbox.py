"""What changed since the queue last looked; filled by the listener, emptied by the pass."""

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Changes:
    """The latest status of each run that changed, and which other things did.

    `topics` holds `resync` (read everything again), `pools`, `pauses`, `room`, `leader` and `reconciled`.
    `first_at` is the monotonic time of the first of them.
    """

    statuses: dict[str, str] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()
    first_at: float | None = None


class Mailbox:
    """Collects changes; of several changes of one run the last one stays."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._statuses: dict[str, str] = {}
        self._topics: set[str] = set()
        self._first_at: float | None = None

    def post(self, message: str) -> None:
        """Add a notification: `STATUS RUN_ID` or a topic."""
        status, _, run_id = message.partition(" ")
        with self._condition:
            if run_id:
                self._statuses.pop(run_id, None)
                self._statuses[run_id] = status
            else:
                self._topics.add(status)
            if self._first_at is None:
                self._first_at = time.monotonic()
            self._condition.notify_all()

    def take(self, timeout: float) -> Changes:
        """Wait until something changed, `timeout` seconds at most, and return all of it."""
        with self._condition:
            self._condition.wait_for(lambda: self._first_at is not None, timeout=timeout)
            changes = Changes(self._statuses, frozenset(self._topics), self._first_at)
            self._statuses, self._topics, self._first_at = {}, set(), None
            return changes

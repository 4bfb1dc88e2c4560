"""Feeds what is new in compute logs to those who watch them in the web UI."""

import logging
import threading
from collections.abc import Sequence

from dagster import DagsterInstance
from dagster._core.storage.compute_log_manager import CapturedLogSubscription, ComputeLogManager

logger = logging.getLogger("dagster.multihost_launcher")


class Watch(CapturedLogSubscription):
    """A subscription that two threads may fetch for: the web server's first fetch, and the live tail's."""

    def __init__(
        self, manager: ComputeLogManager[DagsterInstance], log_key: Sequence[str], cursor: str | None
    ) -> None:
        super().__init__(manager, log_key, cursor)
        self._fetching = threading.Lock()

    def fetch(self) -> None:
        """Hand what is new to the observer."""
        with self._fetching:
            super().fetch()


class LiveTail:
    """One thread for all watches, while there are any."""

    def __init__(self, manager: ComputeLogManager[DagsterInstance], seconds: float) -> None:
        self._manager = manager
        self._seconds = seconds
        self._watches: set[CapturedLogSubscription] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        """Feed this watch until its capture is complete; does no I/O itself."""
        with self._lock:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="compute-log-tail", daemon=True)
                self._thread.start()

    def remove(self, watch: CapturedLogSubscription) -> None:
        """Feed it no more."""
        with self._lock:
            self._watches.discard(watch)
        watch.complete()

    def stop(self) -> None:
        """Feed nobody any more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(self._seconds):
            with self._lock:
                watches = list(self._watches)
                if not watches:
                    self._thread = None
                    return
            for watch in watches:
                try:
                    self._feed(watch)
                except Exception:
                    logger.debug("Compute logs of %s wait for PostgreSQL.", watch.log_key, exc_info=True)

    def _feed(self, watch: CapturedLogSubscription) -> None:
        complete = watch.is_complete or self._manager.is_capture_complete(watch.log_key)
        watch.fetch()
        if complete:
            self.remove(watch)

"""A circuit breaker: a host that did not answer is left alone for a while, then tried by one caller."""

import threading
import time
from collections.abc import Callable

STATES = (CLOSED, OPEN, HALF_OPEN) = ("closed", "open", "half-open")


class Breaker:
    """Closed (calls pass), open (refused), half-open (one probe passes). Safe to share between threads."""

    def __init__(self, pause_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until: float | None = None
        self._probing = False
        self.fact = ""

    def seconds_left(self) -> float:
        """Return 0 if the caller may try, else for how many seconds it may not. A 0 may be the one probe."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            left = self._open_until - self._clock()
            if left <= 0 and not self._probing:
                self._probing = True
                return 0.0
            return max(left, 1.0)

    @property
    def state(self) -> str:
        """One of `STATES`; half-open is when the next caller, or the one under way, is the probe."""
        with self._lock:
            if self._open_until is None:
                return CLOSED
            return HALF_OPEN if self._probing or self._open_until <= self._clock() else OPEN

    def failed(self, fact: str) -> None:
        """Open for the pause; `fact` is told to whoever asks meanwhile."""
        with self._lock:
            self._open_until, self._probing, self.fact = self._clock() + self._pause, False, fact

    def answered(self) -> None:
        """Close."""
        with self._lock:
            self._open_until, self._probing = None, False

"""When to do what nobody notifies about."""

import time

# Explanations are written while more are due, else looked for again after this time.
EXPLAIN_SECONDS = 5.0
EXPLAIN_MORE_SECONDS = 1.0


class Timer:
    """Is due every `seconds` by the monotonic clock, the first time at once unless `later`."""

    def __init__(self, seconds: float, *, later: bool = False) -> None:
        self._seconds = seconds
        self._due = time.monotonic() + (seconds if later else 0)

    def due(self) -> bool:
        """Say whether it is time, and if so set the next time."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._seconds
        return True

    def within(self, seconds: float) -> None:
        """Be due in so many seconds."""
        self._due = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds until it is due."""
        return max(0.0, self._due - time.monotonic())

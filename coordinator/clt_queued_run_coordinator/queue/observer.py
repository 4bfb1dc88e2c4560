"""What the queue tells whoever measures it."""

from collections.abc import Mapping
from typing import Protocol


class Observer(Protocol):
    """Told of every outcome, from several threads; must return at once. Times are in seconds."""

    def launched(self, *, location: str | None, priority: int, waited: float) -> None:
        """A run was handed to its launcher, `waited` after it was queued."""

    def launch_failed(self, *, location: str | None) -> None:
        """A launcher failed for good; the run is FAILURE."""

    def requeued(self, *, location: str | None, cause: str) -> None:
        """A run went back to the queue: `postponed`, `unreachable` or `recovered`."""

    def expired(self, *, location: str | None) -> None:
        """A run waited for longer than it may; it is CANCELED."""

    def passed(self, *, seconds: float, launched: int) -> None:
        """One pass of the selection, with its claims, is over."""

    def woken(self, *, latency: float) -> None:
        """A pass began `latency` after the first notification that asked for it."""

    def leading(self, *, leads: bool) -> None:
        """This process leads now, or does not any more."""

    def depth(self, *, queued: Mapping[tuple[str | None, int], int], active: int) -> None:
        """How many runs wait, by location and priority, and how many are active; now and then."""


class Silent:
    """Measures nothing."""

    def launched(self, *, location: str | None, priority: int, waited: float) -> None:
        """Do nothing."""

    def launch_failed(self, *, location: str | None) -> None:
        """Do nothing."""

    def requeued(self, *, location: str | None, cause: str) -> None:
        """Do nothing."""

    def expired(self, *, location: str | None) -> None:
        """Do nothing."""

    def passed(self, *, seconds: float, launched: int) -> None:
        """Do nothing."""

    def woken(self, *, latency: float) -> None:
        """Do nothing."""

    def leading(self, *, leads: bool) -> None:
        """Do nothing."""

    def depth(self, *, queued: Mapping[tuple[str | None, int], int], active: int) -> None:
        """Do nothing."""

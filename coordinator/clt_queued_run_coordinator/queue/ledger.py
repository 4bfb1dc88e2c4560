"""What the queue asks of storage. One implementation per way to store; the queue knows only this."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dagster import DagsterRun, DagsterRunStatus
from dagster._serdes import deserialize_value

from clt_queued_run_coordinator.queue.runs import ActiveRun, QueuedRun
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause


@dataclass(frozen=True)
class Reading:
    """The queued and active runs of a read, in the order of Dagster's FIFO."""

    queued: tuple[QueuedRun, ...] = ()
    active: tuple[ActiveRun, ...] = ()


@dataclass(frozen=True)
class Claim:
    """Says who moved a run from QUEUED to STARTING. Owner and token are those of this claim alone.

    `body` is the run as stored.
    """

    run_id: str
    owner: str
    token: int
    body: str

    def run(self) -> DagsterRun:
        """Return the run, STARTING."""
        return deserialize_value(self.body, DagsterRun).with_status(DagsterRunStatus.STARTING)


@dataclass(frozen=True)
class Claimed:
    """A queued run that this process claimed."""

    queued: QueuedRun
    claim: Claim


class Ledger(Protocol):
    """Reads and moves runs. Every move of a run is conditional on where the run still is."""

    def everything(self, keys: frozenset[str]) -> Reading:
        """Read all queued and active runs."""

    def some(self, run_ids: Collection[str], keys: frozenset[str]) -> Reading:
        """Read those of these runs that are queued or active."""

    def changed(self, known: Mapping[str, str], since: float) -> set[str]:
        """Return the runs whose status is not the known one, or that were written since (epoch seconds)."""

    def pauses(self) -> Sequence[Pause]:
        """Read what is paused."""

    def holds(self) -> Sequence[Hold]:
        """Read what earlier launches were told to wait for."""

    def claim(self, runs: Sequence[QueuedRun], now: float) -> Sequence[Claimed]:
        """Move runs from QUEUED to STARTING; return those that still were queued."""

    def hand_over(self, claims: Sequence[Claim], done: Sequence[Claim]) -> Collection[str]:
        """Note that these go to their launcher now, and that `done` came back; return the runs that may go.

        May be asked again for the same claims; a claim that is not this leader's any more may not go.
        """

    def give_back(self, claims: Sequence[Claim], reason: str | None, now: float) -> Collection[str]:
        """Move claimed runs back to QUEUED and drop the claims; return the runs that moved.

        With a reason it does not count as a retry; None is a retry after a failure.
        """

    def hold(self, hold: Hold) -> None:
        """Keep a hold for whoever asks why, and for the next daemon."""

    def explain(self, sentences: Mapping[QueuedRun, str], now: float) -> None:
        """Write on queued runs what they wait for."""

    def explained(self) -> Mapping[str, str]:
        """Read what was written on which run."""

    def expire(self, runs: Sequence[QueuedRun], seconds: int, now: float) -> Collection[str]:
        """Cancel those that were queued `seconds` ago and still are; return them."""

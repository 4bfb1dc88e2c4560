"""What became of runs: the table that a fault is judged by. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
# A run that took so much longer than runs before the fault was held up; the floor is a busy machine's noise.
DELAY_FACTOR = 3
DELAY_FLOOR_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A run that the web server took: from then on it may not be lost."""

    run_id: str
    location: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """A run as Dagster's database has it once the dust has settled. Times are Unix seconds.

    `starts` are its RUN_START events: one for each worker that began it. `worked` says that a step of it
    succeeded, so that something besides the status says that it ran.
    """

    status: str
    host: str
    created: float
    ended: float | None
    starts: int
    worked: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be said of one run."""

    run_id: str
    location: str
    outcome: str
    lost: bool = False
    duplicated: bool = False
    stuck: bool = False
    delayed: bool = False


@dataclass(frozen=True)
class Account:
    """The verdicts of a fault."""

    verdicts: tuple[Verdict, ...]

    def count(self, what: str) -> int:
        """Return how many runs are `lost`, `duplicated`, `stuck` or `delayed`."""
        return sum(bool(getattr(verdict, what)) for verdict in self.verdicts)

    def outcomes(self) -> dict[str, int]:
        """Return how many runs had which outcome, the commonest first."""
        return dict(Counter(verdict.outcome for verdict in self.verdicts).most_common())


def usual_seconds(found: Iterable[Found]) -> float:
    """Return what a run takes from its launch to its end, the median of those that ended."""
    return median([each.ended - each.created for each in found if each.ended is not None] or [0.0])


def account(
    launched: Sequence[Launched], found: Mapping[str, Found], *, touched: frozenset[str], usual: float
) -> Account:
    """Judge every run that was launched; `touched` are hosts that the fault may hold up, or end runs on."""
    return Account(tuple(_verdict(run, found.get(run.run_id), touched, usual) for run in launched))


def _verdict(run: Launched, found: Found | None, touched: frozenset[str], usual: float) -> Verdict:
    if found is None:
        return Verdict(run_id=run.run_id, location=run.location, outcome="not in the database", lost=True)
    lied = found.status == "SUCCESS" and not found.worked
    stuck = found.status not in ENDED
    return Verdict(
        run_id=run.run_id,
        location=run.location,
        outcome="SUCCESS without having run" if lied else found.status,
        lost=lied,
        duplicated=found.starts > 1,
        stuck=stuck,
        delayed=not stuck and found.host not in touched and _seconds(found) > allowed(usual),
    )


def allowed(usual: float) -> float:
    """Return the seconds that a run may take on a host that the fault does not touch."""
    return max(DELAY_FLOOR_SECONDS, DELAY_FACTOR * usual)


def _seconds(found: Found) -> float:
    return (found.ended or found.created) - found.created

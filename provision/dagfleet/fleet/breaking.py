"""What a newer Dagfleet does to a fleet that its owner has to agree to first: breaking changes, by number."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagfleet.errors import ConfigurationError

if TYPE_CHECKING:
    from dagfleet.fleet.model import Fleet


@dataclass(frozen=True, kw_only=True)
class Breaking:
    """A change that an apply brings to a fleet that was applied before `since`, a version of Dagfleet's."""

    number: int
    since: str
    sentence: str
    do: str
    """What to do first, where the change is not wanted as it is."""
    concerns: Callable[["Fleet"], bool] = lambda _fleet: True


BREAKING: tuple[Breaking, ...] = (
    Breaking(
        number=1,
        since="0.1.0",
        sentence="hosts remove an image that served a location, unless it is one of its last five or did so "
        "within 30 days",
        do="give an image that has to stay a second name (docker tag), or set code_server_keep_images",
        concerns=lambda fleet: any(location.image for location in fleet.locations.values()),
    ),
)
"""In order; a number is never given twice. A release records the last one, so that later ones are known."""


def latest(changes: Sequence[Breaking] = BREAKING) -> int:
    """Return the highest number."""
    return max((each.number for each in changes), default=0)


def unacknowledged(
    fleet: "Fleet", *, applied_with: int | None, changes: Sequence[Breaking] = BREAKING
) -> list[Breaking]:
    """Return what the fleet's owner has yet to agree to.

    `applied_with` is the highest number known to whoever applied last; None for a fleet never applied, to
    which nothing can be a change.
    """
    if applied_with is None:
        return []
    return [
        each
        for each in changes
        if each.number > applied_with and each.number not in fleet.acknowledge and each.concerns(fleet)
    ]


def refuse_unacknowledged(
    fleet: "Fleet", *, applied_with: int | None, changes: Sequence[Breaking] = BREAKING
) -> None:
    """Raise ConfigurationError that names each such change and the line to add."""
    found = unacknowledged(fleet, applied_with=applied_with, changes=changes)
    if not found:
        return
    numbers = sorted({*fleet.acknowledge, *(each.number for each in found)})
    told = "".join(
        f"\n  {each.number}  since {each.since}: {each.sentence}\n     otherwise: {each.do}" for each in found
    )
    raise ConfigurationError(
        f"this Dagfleet changes what {fleet.name} was applied with before:{told}",
        fix=f"if that may be, write this line into fleet.yml: acknowledge: {_written(numbers)}",
    )


def _written(numbers: Collection[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"

"""Phases: may this command begin? Not in the middle of an upgrade, nor with a change nobody agreed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.breaking import refuse_unacknowledged
from dagfleet.phases.journal import Journal, standing
from dagfleet.phases.work import Work
from dagfleet.probe.history import Release, releases
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet


class Undisturbed:
    """Lets nothing else begin while an upgrade is under way."""

    title = "lock"

    def run(self, work: Work) -> None:
        """Raise ConfigurationError that names the command which finishes it."""
        refuse_during_upgrade(work.fleet.name, standing(target(work.fleet_file, work.fleet.control.host)))


@dataclass(frozen=True)
class Unchanged:
    """An upgrade goes by the journal read before the lock was held; nobody may have gone on since."""

    known: Journal | None
    title: str = "lock"

    def run(self, work: Work) -> None:
        """Raise ConfigurationError when somebody has, or when a new upgrade must not begin."""
        control = target(work.fleet_file, work.fleet.control.host)
        if standing(control) != self.known:
            raise ConfigurationError(
                f"somebody else has gone on with the upgrade of {work.fleet.name}", fix="run it again"
            )
        if self.known is None:
            refuse_unready(work.fleet, releases(control))


@dataclass(frozen=True)
class Admit:
    """Compares what fleet.yml and this Dagfleet bring with what the fleet was last applied with."""

    any_dagster: bool = False
    """A restore brings the database of the Dagster that fleet.yml says, whatever the fleet has had."""
    title: str = "lock"

    def run(self, work: Work) -> None:
        """Raise ConfigurationError when that is a matter of another command, or of the owner's consent."""
        control = target(work.fleet_file, work.fleet.control.host)
        refuse_during_upgrade(work.fleet.name, standing(control))
        refuse_unready(work.fleet, releases(control), any_dagster=self.any_dagster)


def refuse_during_upgrade(name: str, journal: Journal | None) -> None:
    """Raise ConfigurationError when fleet `name` is in the middle of an upgrade."""
    if journal is None:
        return
    raise ConfigurationError(
        f"{name} is in the middle of its upgrade from Dagster {journal.old} to {journal.new}, "
        f'begun by {journal.by}, at step "{journal.step}"',
        fix=f"finish it first: dagfleet upgrade {journal.new}",
    )


def refuse_unready(fleet: "Fleet", known: Sequence[Release], *, any_dagster: bool = False) -> None:
    """Raise ConfigurationError for another Dagster than the last release's, or an unacknowledged change."""
    last = known[-1] if known else None
    refuse_unacknowledged(fleet, applied_with=last.breaking if last else None)
    # The owner of an external database is who backs it up before its tables change.
    if last is None or any_dagster or fleet.postgres.mode == "external":
        return
    if last.dagster and last.dagster != fleet.dagster.version:
        raise ConfigurationError(
            f"{fleet.name} runs Dagster {last.dagster}, and fleet.yml says {fleet.dagster.version}",
            fix=f'write version: "{last.dagster}" there again, then dagfleet upgrade {fleet.dagster.version}',
        )

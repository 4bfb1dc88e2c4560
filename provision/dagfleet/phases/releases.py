"""Releases of locations: which image each had, and the record of a deploy."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagfleet import __version__
from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.phases.deploying import Deploy
from dagfleet.phases.work import Work
from dagfleet.probe.history import FILE, Release, releases
from dagfleet.probe.lock import here
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection


def earlier(known: Sequence[Release], location: str, image: str, *, number: int | None = None) -> Release:
    """Return the release to go back to: the numbered one, or the last with another image.

    Raises ConfigurationError when there is none.
    """
    having = [release for release in known if location in release.images]
    if number is not None:
        found = next((release for release in having if release.number == number), None)
        if found is None:
            raise ConfigurationError(
                f"release {number} has no image of {location} on record",
                fix="see the releases: dagfleet history",
            )
        return found
    found = next((release for release in reversed(having) if release.images[location] != image), None)
    if found is None:
        raise ConfigurationError(
            f"{location} has had no other image than {image} in any release on record",
            fix=f"name one: dagfleet deploy {location} --image REF",
        )
    return found


@dataclass(frozen=True, kw_only=True)
class RecordDeploy:
    """Writes the deploy down on the control host; one that changed nothing is none."""

    deployed: Deploy
    revision: str | None = None
    title: str = "record"

    def run(self, work: Work) -> None:
        """Raise UnreachableError when the control host is gone; the location serves all the same."""
        if not (self.deployed.exchanged or work.touched):
            return
        control = target(work.fleet_file, work.fleet.control.host)
        release = replace(
            new_release(work, releases(control)),
            digests=dict(self.deployed.digests),
            revision=self.revision,
            hosts=dict.fromkeys(work.hosts, 1),
        )
        line = shlex.quote(release.as_line())
        answer = on_each([control], lambda connection: _append(connection, line))[control.name]
        if isinstance(answer, UnreachableError):
            raise answer
        work.release = release.number


def new_release(work: Work, before: Sequence[Release]) -> Release:
    """Return the release that this work makes, with the image of each location."""
    return Release(
        number=before[-1].number + 1 if before else 1,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=here(),
        command=work.lock.command,
        version=__version__,
        config=hashlib.sha256(work.fleet_file.path.read_bytes()).hexdigest()[:16],
        seconds=round(work.seconds, 1),
        images={name: each.image for name, each in work.fleet.locations.items() if each.image},
    )


def _append(connection: "Connection", line: str) -> None:
    answer = connection.run(f"umask 022 && printf '%s\\n' {line} >>{FILE}")
    if not answer.ok:
        raise DagfleetError(
            f"the release was not recorded on {connection.target.name}: {answer.stderr.strip()}",
            fix="see that its disk has room",
        )

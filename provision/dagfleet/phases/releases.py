"""Releases of locations: which image each had, and the record of a deploy."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagfleet import __version__
from dagfleet.derive.host_vars import host_vars
from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.fleet.breaking import latest
from dagfleet.fleet.comings import with_other_image
from dagfleet.image import artifacts
from dagfleet.phases.deploying import Deploy
from dagfleet.phases.work import Work
from dagfleet.probe.history import FILE, Release, releases
from dagfleet.probe.lock import here
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile
    from dagfleet.probe.connection import Connection

# What a host notes about itself (role base) names the description that it was made from. Only where that was
# the one before the deploy is it the new one now; elsewhere something else waits for its apply.
_NOTE = """
import json, os, sys, time
path, (old, new, who) = "/etc/dagfleet/facts.json", sys.argv[1:]
known = json.load(open(path))
if known.get("config_hash") == old:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    known.update(config_hash=new, applied_at=now, applied_by=who)
    with open(path + ".next", "w") as file:
        file.write(json.dumps(known, indent=4, sort_keys=True) + "\\n")
    os.chmod(path + ".next", 0o644)
    os.replace(path + ".next", path)
"""


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


def last_image(known: Sequence[Release], location: str) -> str | None:
    """Return the image that the location had in the last release on record; None when none names one."""
    return next((release.images[location] for release in reversed(known) if location in release.images), None)


@dataclass(frozen=True, kw_only=True)
class RecordDeploy:
    """Writes the deploy down on the control host; one that changed nothing is none."""

    deployed: Deploy
    before: "FleetFile"
    """What the fleet was to be before the deploy."""
    revision: str | None = None
    title: str = "record"

    def run(self, work: Work) -> None:
        """Raise UnreachableError when the control host is gone; the location serves all the same."""
        control = target(work.fleet_file, work.fleet.control.host)
        known = releases(control)
        last = last_image(known, self.deployed.location)
        # One that was killed before it came here has exchanged and written what this one found done.
        unrecorded = last is not None and last != self.deployed.image
        if not (self.deployed.exchanged or work.touched or unrecorded):
            return
        self._note(work, last)
        release = replace(
            new_release(work, known),
            digests=dict(self.deployed.digests),
            revision=self.revision,
            hosts=dict.fromkeys(work.hosts, 1),
        )
        line = shlex.quote(release.as_line())
        answer = on_each([control], lambda connection: _append(connection, line))[control.name]
        if isinstance(answer, UnreachableError):
            raise answer
        work.release = release.number

    def _note(self, work: Work, last: str | None) -> None:
        """Let the hosts know the description that they are made from now."""
        location, before = self.deployed.location, self.before
        if last and before.fleet.locations[location].image == self.deployed.image:
            _, before = with_other_image(before, location, last)

        def note(connection: "Connection") -> None:
            name = connection.target.name
            old, new = (_description(each, name) for each in (before, work.fleet_file))
            connection.run(f"python3 -c {shlex.quote(_NOTE)} {old} {new} {shlex.quote(here())}")

        on_each([target(work.fleet_file, host) for host in work.hosts], note)


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
        dagster=work.fleet.dagster.version,
        breaking=latest(),
    )


def _description(fleet_file: "FleetFile", host: str) -> str:
    record: dict[str, str] = host_vars(fleet_file.fleet, host, artifacts(fleet_file))["base_record"]
    return record["config_hash"]


def _append(connection: "Connection", line: str) -> None:
    answer = connection.run(f"umask 022 && printf '%s\\n' {line} >>{FILE}")
    if not answer.ok:
        raise DagfleetError(
            f"the release was not recorded on {connection.target.name}: {answer.stderr.strip()}",
            fix="see that its disk has room",
        )

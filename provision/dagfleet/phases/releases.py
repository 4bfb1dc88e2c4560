"""Releases of locations: which version each had, and the record of a deploy."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
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
    from dagfleet.fleet import Fleet, FleetFile
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


def version_in(release: Release, location: str) -> str | None:
    """Return what a location was served from: its image, or the digest of its own release if it has none."""
    return release.images.get(location) or release.digests.get(location)


def earlier(
    known: Sequence[Release], location: str, now: str | None, *, number: int | None = None
) -> Release:
    """Return the release to go back to: the numbered one, or the last with another version than `now`.

    An image whose name stood for something else is another one. Raises ConfigurationError when there is none.
    """
    having = [release for release in known if version_in(release, location)]
    serving = having[-1].digests.get(location) if having else None
    if number is not None:
        found = next((release for release in having if release.number == number), None)
        if found is None:
            raise ConfigurationError(
                f"release {number} has no version of {location} on record",
                fix="see the releases: dagfleet history",
            )
        return found

    def differs(release: Release) -> bool:
        digest = release.digests.get(location)
        return version_in(release, location) != now or bool(digest and serving and digest != serving)

    found = next((release for release in reversed(having) if differs(release)), None)
    if found is None:
        raise ConfigurationError(
            f"{location} has had no other version than {now} in any release on record",
            fix=f"give it one: dagfleet deploy {location}",
        )
    return found


def last_version(known: Sequence[Release], location: str) -> str | None:
    """Return what the location was served from in the last release on record; None when none says so."""
    found = (version_in(release, location) for release in reversed(known))
    return next((version for version in found if version), None)


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
        deployed = self.deployed
        last = last_version(known, deployed.location)
        # One that was killed before it came here has exchanged and written what this one found done.
        unrecorded = last is not None and last != deployed.version
        if not (deployed.exchanged or work.touched or unrecorded):
            return
        self._note(work, last)
        release = replace(
            new_release(work, known),
            digests={**_of_processes(work.fleet, known), deployed.location: deployed.digest},
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
        deployed, before = self.deployed, self.before
        location = deployed.location
        if last and before.fleet.locations[location].image == deployed.version:
            _, before = with_other_image(before, location, last)
        # What is collected from files of this machine leaves no trace in fleet.yml.
        earlier = last if last != deployed.version else deployed.before

        def note(connection: "Connection") -> None:
            name = connection.target.name
            old = _description(before, name, {location: earlier or ""})
            new = _description(work.fleet_file, name, {location: deployed.version})
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
        digests={name: each.digest for name, each in artifacts(work.fleet_file).process_releases.items()},
        dagster=work.fleet.dagster.version,
        breaking=latest(),
    )


def _of_processes(fleet: "Fleet", known: Sequence[Release]) -> dict[str, str]:
    """Return the digests that locations without an image had last: their sources may have changed since."""
    found = {name: last_version(known, name) for name, each in fleet.locations.items() if each.requirements}
    return {name: digest for name, digest in found.items() if digest}


def _description(fleet_file: "FleetFile", host: str, digests: Mapping[str, str]) -> str:
    """Return the hash of a host's description, in which locations without an image have these digests."""
    made = artifacts(fleet_file)
    releases = {
        name: replace(each, digest=digests.get(name, each.digest))
        for name, each in made.process_releases.items()
    }
    variables = host_vars(fleet_file.fleet, host, replace(made, process_releases=releases))
    record: dict[str, str] = variables["base_record"]
    return record["config_hash"]


def _append(connection: "Connection", line: str) -> None:
    answer = connection.run(f"umask 022 && printf '%s\\n' {line} >>{FILE}")
    if not answer.ok:
        raise DagfleetError(
            f"the release was not recorded on {connection.target.name}: {answer.stderr.strip()}",
            fix="see that its disk has room",
        )

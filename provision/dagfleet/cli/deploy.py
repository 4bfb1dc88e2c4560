"""`dagfleet deploy` and `dagfleet rollback`: another version of a location that never stops serving."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.settings import Settings, common_options, completes

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile, Location
    from dagfleet.phases.bringing import Bring

location_argument = click.argument("location", shell_complete=completes("locations"))
wait_option = click.option(
    "--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end, such as 10m."
)


@click.command(short_help="Give a location another version; calls and schedules notice nothing.")
@location_argument
@click.option("--image", metavar="REF", help="Pinned image to serve. [default: the one in fleet.yml]")
@click.option(
    "--build",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Build it here from this folder's Dockerfile, and send the layers that hosts lack.",
)
@wait_option
@common_options
@click.pass_obj
def deploy(settings: Settings, *, location: str, image: str | None, folder: Path | None, wait: float) -> None:
    """Serve a location from another image and write it into fleet.yml, or collect its requirements anew.

    The new code server starts beside the old one. Once it answers, and the web server shows its code, the old
    one ends with its last call; until then any failure leaves the old one serving. Runs that work keep what
    they were started with: an image, or the old server, which ends with the last of them. Stopped anywhere,
    the same command goes on.
    """
    from dagfleet.derive.registry import pulled
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet.comings import with_other_image
    from dagfleet.image import artifacts
    from dagfleet.image.own import build_own
    from dagfleet.image.revision import revision
    from dagfleet.phases.bringing import Install, Pull, Push

    fleet_file = settings.fleet_file()
    now = require_location(fleet_file, location).image
    if image and folder:
        raise ConfigurationError(
            "--image and --build are two answers to one question", fix="give one of them"
        )
    if now is None:
        if image or folder:
            raise ConfigurationError(
                f"location {location} runs as a process and has no image",
                fix=f"its requirements are collected anew: dagfleet deploy {location}",
            )
        release = artifacts(fleet_file).process_releases[location]
        exchange(
            settings, fleet_file, location, release.digest, wait=wait, log="deploy",
            bring=Install(location), revision=revision(fleet_file.directory),
        )  # fmt: skip
        return
    if folder:
        with settings.terminal.working("build", f"building {folder}") as progress:
            image = build_own(
                folder, repository=now, progress=lambda line: progress(f"building: {line.strip()}")
            )
    wanted = image or now
    text, changed = with_other_image(fleet_file, location, wanted)
    pushes = folder or not pulled(fleet_file.fleet, wanted)
    exchange(
        settings, changed, location, wanted, text=text, wait=wait, log="deploy",
        bring=Push(wanted) if pushes else Pull(wanted), revision=revision(folder or fleet_file.directory),
    )  # fmt: skip


@click.command(short_help="Give a location the version of an earlier release.")
@location_argument
@click.argument("release", type=click.IntRange(min=1), required=False)
@wait_option
@common_options
@click.pass_obj
def rollback(settings: Settings, *, location: str, release: int | None, wait: float) -> None:
    """Serve a location from what it had in an earlier release, by default the last other one.

    Hosts keep what they served, so that no registry has to be there. fleet.yml names the image afterwards; a
    location without one gets what its requirements hold by the next deploy or apply.
    """
    from dagfleet.fleet.comings import with_other_image
    from dagfleet.phases.releases import earlier, last_version, version_in
    from dagfleet.probe.history import releases
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    image = require_location(fleet_file, location).image
    known = releases(target(fleet_file, fleet_file.fleet.control.host))
    chosen = earlier(known, location, image or last_version(known, location), number=release)
    version = version_in(chosen, location) or ""
    text, changed = with_other_image(fleet_file, location, version) if image else (None, fleet_file)
    exchange(
        settings, changed, location, version, text=text, wait=wait, log="rollback",
        bring=None, revision=chosen.revision, digest=chosen.digests.get(location, "") if image else "",
    )  # fmt: skip
    if image is None:
        settings.terminal.say(
            f"The next deploy or apply brings what the requirements of {location} hold now."
        )


def exchange(
    settings: Settings,
    fleet_file: "FleetFile",
    location: str,
    version: str,
    *,
    wait: float,
    log: str,
    bring: "Bring | None",
    revision: str | None,
    text: str | None = None,
    digest: str = "",
) -> None:
    """Exchange the location's code servers and record it; `text` is fleet.yml afterwards, if that changes.

    `digest` is what the version's name has to stand for on the hosts, if that is known.
    """
    from dagfleet.cli.working import working
    from dagfleet.phases.admitting import Undisturbed
    from dagfleet.phases.deploying import Deploy, Finish
    from dagfleet.phases.finishing import Done
    from dagfleet.phases.locking import Lock
    from dagfleet.phases.phase import run
    from dagfleet.phases.releases import RecordDeploy
    from dagfleet.phases.writing import WriteFleet

    path = fleet_file.path
    before = path.read_text(encoding="utf-8")
    write = WriteFleet(
        before=before, after=before if text is None else text, what=f"{location}: image {version}"
    )
    hosts = list(fleet_file.fleet.locations[location].hosts)
    again = f"dagfleet deploy {location}"
    with working(settings, fleet_file, hosts, log=log, command=again) as work:
        work.wait = wait
        deployed = Deploy(location=location, version=version, write=write, bring=bring, wanted_digest=digest)
        record = RecordDeploy(deployed=deployed, before=settings.fleet_file(), revision=revision)
        run(work, [Lock(), Undisturbed(), deployed, record, Finish(location=location), Done()])


def require_location(fleet_file: "FleetFile", name: str) -> "Location":
    """Return a location; raises ConfigurationError for one that is not there."""
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet.mistakes import did_you_mean

    locations = fleet_file.fleet.locations
    if name not in locations:
        raise ConfigurationError(f'no location is named "{name}"', fix=did_you_mean(name, [*locations]))
    return locations[name]

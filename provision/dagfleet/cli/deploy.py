"""`dagfleet deploy` and `dagfleet rollback`: another image for a location that never stops serving."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.settings import Settings, common_options, completes

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

location_argument = click.argument("location", shell_complete=completes("locations"))
wait_option = click.option(
    "--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end, such as 10m."
)


@click.command(short_help="Give a location another image; calls and schedules notice nothing.")
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
    """Serve a location from another image and write it into fleet.yml.

    The new code server starts beside the old one. Once it answers, and the web server shows its code, the old
    one ends with its last call; until then any failure leaves the old one serving. Runs that work keep the
    image that they were started with. Stopped anywhere, the same command goes on.
    """
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet.comings import with_other_image
    from dagfleet.image.revision import revision

    fleet_file = settings.fleet_file()
    now = require_image(fleet_file, location)
    if image and folder:
        raise ConfigurationError(
            "--image and --build are two answers to one question", fix="give one of them"
        )
    if folder:
        from dagfleet.image.own import build_own

        with settings.terminal.working("build", f"building {folder}") as progress:
            image = build_own(
                folder, repository=now, progress=lambda line: progress(f"building: {line.strip()}")
            )
    wanted = image or now
    text, changed = with_other_image(fleet_file, location, wanted)
    exchange(
        settings, changed, location, wanted, text=text, wait=wait, log="deploy",
        pushes=bool(folder) or fleet_file.fleet.docker.images == "push",
        revision=revision(folder or fleet_file.directory),
    )  # fmt: skip


@click.command(short_help="Give a location the image of an earlier release.")
@location_argument
@click.argument("release", type=click.IntRange(min=1), required=False)
@wait_option
@common_options
@click.pass_obj
def rollback(settings: Settings, *, location: str, release: int | None, wait: float) -> None:
    """Serve a location from the image that it had in an earlier release, by default the last other one.

    Hosts keep the images that they served, so that no registry has to be there. fleet.yml says the same
    afterwards.
    """
    from dagfleet.fleet.comings import with_other_image
    from dagfleet.phases.releases import earlier
    from dagfleet.probe.history import releases
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    now = require_image(fleet_file, location)
    known = releases(target(fleet_file, fleet_file.fleet.control.host))
    chosen = earlier(known, location, now, number=release)
    text, changed = with_other_image(fleet_file, location, chosen.images[location])
    exchange(
        settings, changed, location, chosen.images[location], text=text, wait=wait, log="rollback",
        pushes=None, revision=chosen.revision,
    )  # fmt: skip


def exchange(
    settings: Settings,
    fleet_file: "FleetFile",
    location: str,
    image: str,
    *,
    text: str,
    wait: float,
    log: str,
    pushes: bool | None,
    revision: str | None,
) -> None:
    """Exchange the location's code servers and record it; `pushes` None: the hosts have the image already."""
    from dagfleet.cli.working import working
    from dagfleet.phases.admitting import Undisturbed
    from dagfleet.phases.deploying import Deploy, Finish
    from dagfleet.phases.finishing import Done
    from dagfleet.phases.locking import Lock
    from dagfleet.phases.phase import run
    from dagfleet.phases.releases import RecordDeploy
    from dagfleet.phases.writing import WriteFleet

    path = fleet_file.path
    write = WriteFleet(before=path.read_text(encoding="utf-8"), after=text, what=f"{location}: image {image}")
    hosts = list(fleet_file.fleet.locations[location].hosts)
    again = f"dagfleet deploy {location}"
    with working(settings, fleet_file, hosts, log=log, command=again) as work:
        work.wait = wait
        deployed = Deploy(location=location, image=image, write=write, pushes=pushes)
        record = RecordDeploy(deployed=deployed, before=settings.fleet_file(), revision=revision)
        run(work, [Lock(), Undisturbed(), deployed, record, Finish(location=location), Done()])


def require_image(fleet_file: "FleetFile", name: str) -> str:
    """Return a location's image; raises ConfigurationError for one that is not there or has none."""
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet.mistakes import did_you_mean

    locations = fleet_file.fleet.locations
    if name not in locations:
        raise ConfigurationError(f'no location is named "{name}"', fix=did_you_mean(name, [*locations]))
    image = locations[name].image
    if image is None:
        raise ConfigurationError(
            f"location {name} runs as a process and has no image", fix="dagfleet apply brings its code there"
        )
    return image

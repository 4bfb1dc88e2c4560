"""`dagfleet upgrade`: another Dagster for the whole fleet."""

from typing import TYPE_CHECKING

import click

from dagfleet.cli.backup import key_of
from dagfleet.cli.deploy import wait_option
from dagfleet.cli.settings import Settings, common_options

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile
    from dagfleet.phases.journal import Journal
    from dagfleet.phases.phase import Phase


class Named(click.ParamType[tuple[str, str]]):
    """A location and its image: LOCATION=REF."""

    name = "image"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        location, equals, image = value.partition("=")
        if location and equals and image:
            return location, image
        return self.fail(f'"{value}" is no image of a location; write LOCATION=REF', param, ctx)


@click.command(short_help="Give the fleet a newer Dagster; a failure takes it back.")
@click.argument("version")
@click.option(
    "--image", "images", type=Named(), multiple=True, metavar="LOCATION=REF",
    help="Image with the new Dagster for a location; may be repeated. [default: the one in fleet.yml]",
)  # fmt: skip
@click.option("--control-image", metavar="REF", help="The new one, where fleet.yml has a control.image.")
@click.option(
    "--identity", metavar="FILE",
    help="File with age's secret key, where backups are encrypted; - reads it from standard input.",
)  # fmt: skip
@wait_option
@common_options
@click.pass_obj
def upgrade(
    settings: Settings,
    *,
    version: str,
    images: tuple[tuple[str, str], ...],
    control_image: str | None,
    identity: str | None,
    wait: float,
) -> None:
    """Give the fleet another Dagster, the newer VERSION of a tested set, and write it into fleet.yml.

    Everything is built, sent and asked for its Dagster first. Then: a backup, tried out; daemon and web
    server stop; the database is migrated; control plane and code servers start anew; fleet.yml is written. A
    failure puts images and database back as they were. Killed anywhere, the same command goes on.
    """
    from dagfleet.cli.working import working
    from dagfleet.errors import ConfigurationError
    from dagfleet.phases.journal import standing
    from dagfleet.phases.phase import run
    from dagfleet.phases.upgrading import begun
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    fleet = fleet_file.fleet
    known = standing(target(fleet_file, fleet.control.host))
    if known is None and fleet.dagster.version == version:
        settings.terminal.say(f"{fleet.name} has Dagster {version} already: nothing to upgrade.")
        return
    if fleet.postgres.mode == "external":
        raise ConfigurationError(
            f"{fleet.name} uses an external PostgreSQL, which Dagfleet can neither back up nor put back",
            fix="have its owner back it up, then set dagster.version in fleet.yml and dagfleet apply",
        )
    sealed = bool(fleet.backup.recipient) or (known is not None and known.backup.endswith(".age"))
    key = key_of(identity, f"every backup of {fleet.name}", encrypted=sealed)
    journal = begun(fleet, known, version, dict(images), control_image)
    phases = _phases(fleet_file, known, journal, key)
    options = "".join(f" --image {name}={image}" for name, image in images)
    options += f" --control-image {control_image}" if control_image else ""
    options += f" --identity {identity}" if identity else ""
    command = f"dagfleet upgrade {version}{options}"
    with working(settings, fleet_file, list(fleet.hosts), log="upgrade", command=command) as work:
        work.wait = wait
        run(work, phases)


def _phases(
    fleet_file: "FleetFile",
    known: "Journal | None",
    journal: "Journal",
    key: str,
) -> "list[Phase]":
    """Return what is to be done from the journal's step on; `known` is the journal on the control host."""
    from dagfleet.fleet.comings import with_other_dagster
    from dagfleet.phases.admitting import Unchanged
    from dagfleet.phases.certificates import Certificates
    from dagfleet.phases.checking import Check
    from dagfleet.phases.finishing import Done
    from dagfleet.phases.fitting import Fit
    from dagfleet.phases.images import Images
    from dagfleet.phases.locking import Lock
    from dagfleet.phases.playbooks import Hosts, Record, Services
    from dagfleet.phases.upgrading import WANTED, Close, Upgrade
    from dagfleet.phases.writing import WriteFleet

    before = fleet_file.path.read_text(encoding="utf-8")
    text, wanted = with_other_dagster(
        fleet_file, journal.new, images=journal.images, control_image=journal.control_image, beside=WANTED
    )
    write = WriteFleet(before=before, after=text, what=f"Dagster {journal.new}")
    upgrade = Upgrade(journal=journal, wanted=wanted, text=text, write=write, identity=key)
    if journal.failure:
        return [Lock(), Unchanged(known), upgrade]
    return [
        Lock(), Unchanged(known), Check(), Fit(wanted, journal.images), upgrade,
        Certificates(), Hosts(), Images(), Services(), Record(), Close(), Done(),
    ]  # fmt: skip

"""`dagfleet destroy`: take everything off all hosts."""

import sys
from typing import TYPE_CHECKING

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.settings import Settings, common_options

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


@click.command(short_help="Take Dagfleet off all hosts; the database's data stays unless --data.")
@click.option("--data", is_flag=True, help="Remove the database's data, too: all runs, events and results.")
@click.option(
    "--yes-destroy", metavar="FLEET", help="The fleet's name, for scripts that cannot be asked for it."
)
@click.option("--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end.")
@common_options
@click.pass_obj
def destroy(settings: Settings, *, data: bool, yes_destroy: str | None, wait: float) -> None:
    """Leave no unit, listener, container, user or file of Dagfleet's on any host. Runs that work are killed.

    PostgreSQL's data stays, for a later apply, unless --data is given. fleet.yml, the authorities' keys and
    the secrets stay on this machine. Packages that were there before Dagfleet came stay as well.
    """
    from dagfleet.cli.working import working
    from dagfleet.phases.destroying import Dissolve, End, Reach
    from dagfleet.phases.locking import Lock
    from dagfleet.phases.phase import run
    from dagfleet.phases.removing import Remove, farewell

    fleet_file = settings.fleet_file()
    hosts = list(fleet_file.fleet.hosts)
    _confirm(settings, fleet_file, yes_destroy, data=data)
    inventory = farewell(fleet_file, hosts)
    command = "dagfleet destroy" + (" --data" if data else "")
    with working(settings, fleet_file, hosts, log="destroy", command=command, secrets=False) as work:
        work.wait = wait
        remove = Remove(inventory=inventory, hosts=tuple(hosts), data=data)
        run(work, [Lock(), Reach(), remove, Dissolve(inventory), End(data=data)])


def _confirm(settings: Settings, fleet_file: "FleetFile", given: str | None, *, data: bool) -> None:
    """Raise ConfigurationError unless the person has written the fleet's name."""
    from dagfleet.errors import ConfigurationError

    name = fleet_file.fleet.name
    if given is None and sys.stdin.isatty():
        stays = "and all data of its database" if data else "the database's data stays"
        settings.terminal.say(f"This takes Dagfleet off {', '.join(fleet_file.fleet.hosts)}; {stays}.")
        settings.terminal.say("Runs that work there are killed.")
        given = click.prompt(f"Type the fleet's name ({name}) to go on", default="", show_default=False)
    if given is None:
        raise ConfigurationError(
            "nobody is here to be asked whether the fleet may be destroyed",
            fix=f"if it may: dagfleet destroy --yes-destroy {name}",
        )
    if given != name:
        raise ConfigurationError(f'"{given}" is not the name of this fleet', fix=f"it is called {name}")

"""`dagfleet logs`: what a location, the control plane or a run has printed."""

from typing import TYPE_CHECKING

import click

from dagfleet.cli.settings import Settings, common_options, completes
from dagfleet.errors import ConfigurationError

if TYPE_CHECKING:
    from dagfleet.derive.log_sources import LogSource
    from dagfleet.fleet import FleetFile

LEAST_OF_A_RUN_ID = 8


@click.command(short_help="Print what a location, the control plane or a run has said.")
@click.argument("what", metavar="LOCATION|web|daemon|admin|RUN_ID", shell_complete=completes("parts"))
@click.option(
    "-n", "--lines", type=click.IntRange(min=1), default=100, show_default=True, help="How many lines."
)
@click.option("-F", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@common_options
@click.pass_obj
def logs(settings: Settings, what: str, lines: int, follow: bool) -> None:
    """Print the last lines of a code location, of web, daemon or admin, or of a run's container.

    A location that several hosts serve prints each host's lines with the host in front.
    """
    from dagfleet.cli.streaming import stream
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    found = sources(fleet_file, what)
    stream(
        [
            (source.host, target(fleet_file, source.host), source.command(lines=lines, follow=follow))
            for source in found
        ],
        settings.terminal,
    )


def sources(fleet_file: "FleetFile", what: str) -> "list[LogSource]":
    """Return where `what` is logged; raises ConfigurationError when there is no such thing."""
    from dagfleet.derive.log_sources import part_logs

    return part_logs(fleet_file.fleet, what) or _run_logs(fleet_file, what)


def _run_logs(fleet_file: "FleetFile", run_id: str) -> "list[LogSource]":
    from difflib import get_close_matches

    from dagfleet.control.connect import plane
    from dagfleet.derive.log_sources import CONTROL_PARTS, LogSource, location_units
    from dagfleet.fleet.values import secret_name
    from dagfleet.secrets import Secrets

    fleet = fleet_file.fleet
    if len(run_id) < LEAST_OF_A_RUN_ID or not set(run_id) <= set("0123456789abcdef-"):
        known = [*fleet.locations, *CONTROL_PARTS]
        near = get_close_matches(run_id, known, n=1)
        raise ConfigurationError(
            f'"{run_id}" is no location, no part of the control plane and no run',
            fix=f'did you mean "{near[0]}"?'
            if near
            else f"there are {', '.join(known)}, and runs by their id",
        )
    users = Secrets(fleet_file).resolve(secret_name(fleet.control.web.users) or "")
    with plane(fleet_file, users) as asked:
        run = asked.run(run_id)
    if container := run.tags.get("multihost_docker/container_id"):
        host = run.tags.get("multihost_docker/host_name", "")
        if host not in fleet.hosts:
            raise ConfigurationError(
                f'run {run_id} was on host "{host}", which fleet.yml does not name any more',
                fix="look at the run's events in the web UI",
            )
        return [LogSource(host, container=container)]
    location = fleet.locations.get(run.location or "")
    if location is None:
        raise ConfigurationError(
            f"run {run_id} belongs to location {run.location}, which fleet.yml does not name",
            fix="look at the run's events in the web UI",
        )
    units = location_units(str(run.location))
    return [LogSource(each, unit=units, containing=run.run_id) for each in location.hosts]

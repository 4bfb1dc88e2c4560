"""`dagfleet queue`: dagster-queue on the control host."""

import subprocess

import click

from dagfleet.cli.settings import Settings, common_options
from dagfleet.errors import UnreachableError


@click.command(
    short_help="See what waits and why; pause, reorder and cancel.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="list|why|priority|pause|resume|cancel ..."
)
@common_options
@click.pass_obj
def queue(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Ask the run queue, or change it: dagster-queue, run on the control host.

    \b
    dagfleet queue list                        what waits, in the order in which it will start
    dagfleet queue why RUN_ID                  which limit, how full, which place in line
    dagfleet queue pause host beta             no new runs there; resume ends that
    dagfleet queue cancel --location etl       everything of etl that waits
    """
    from dagfleet.control.queueing import queue_command
    from dagfleet.probe.shell import SSH_FAILED, ssh
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    control = target(fleet_file, fleet_file.fleet.control.host)
    command = queue_command(arguments or ["--help"])
    done = subprocess.run(ssh(control, command), stdin=subprocess.DEVNULL, check=False)
    if done.returncode == SSH_FAILED:
        raise UnreachableError(
            f"{control.name} ({control.endpoint}) cannot be entered over SSH",
            fix=f"dagfleet check --limit {control.name}",
        )
    raise click.exceptions.Exit(done.returncode)

"""`dagster-fleet-daemon`: Dagster's daemons with our queue daemon, under the options of `dagster-daemon`."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest import mock

import click
from dagster._daemon import cli as stock
from dagster._daemon.controller import daemon_controller_from_instance

from clt_queued_run_coordinator import seams


def command() -> click.Group:
    """Return Dagster's command group, in which `run` creates our daemons.

    Raises:
        click.ClickException: this Dagster's daemon is not one that ours can replace.

    """
    group = stock.create_dagster_daemon_cli()
    run = group.commands["run"]
    run.help = "Run any daemons configured on the DagsterInstance, with Dagfleet's queue daemon."
    if run.callback:
        run.callback = _with_our_daemons(run.callback)
    return group


def _with_our_daemons(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def run(*arguments: Any, **options: Any) -> Any:
        why_not = seams.objection()
        if why_not:
            raise click.ClickException(
                f"Dagfleet's queue daemon cannot run here: {why_not}. Install Dagster 1.12 or 1.13,"
                " or run `dagster-daemon run` for Dagster's own."
            )

        def controller(*given: Any, **named: Any) -> Any:
            return daemon_controller_from_instance(*given, **{**named, "gen_daemons": seams.daemons})

        # The command itself offers no way to pass daemons: its options stay those of the installed Dagster.
        with mock.patch.object(stock, "daemon_controller_from_instance", controller):
            return callback(*arguments, **options)

    return run


def main() -> None:
    """Run the command."""
    command()(obj={})

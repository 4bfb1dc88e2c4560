"""`dagfleet status`: what runs where, and is it well."""

import click

from dagfleet.cli.settings import Settings, common_options, json_option
from dagfleet.cli.watching import watch_option, watched
from dagfleet.errors import EXIT_FAILED, EXIT_OK


@click.command(short_help="Show hosts, locations, daemons, queue and certificates.")
@watch_option
@json_option
@common_options
@click.pass_obj
def status(settings: Settings, watch: float | None, as_json: bool) -> None:
    """Show what runs where and whether it is well: hosts, locations, daemons, the queue, certificates.

    Exits 0 when all is well, 1 when something is not, 5 when a host does not answer.
    """
    from dagfleet.cli.observed import observe, print_json, print_page

    fleet_file = settings.fleet_file()
    terminal = settings.terminal

    def look() -> int:
        with terminal.working("status", "asking hosts and control plane"):
            observed = observe(fleet_file)
        if as_json:
            print_json(observed, terminal)
        else:
            print_page(observed, terminal)
        return EXIT_OK if observed.well else observed.exit_code or EXIT_FAILED

    raise click.exceptions.Exit(watched(look, watch, terminal))

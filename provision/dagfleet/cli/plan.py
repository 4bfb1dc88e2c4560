"""`dagfleet plan`: what an apply would change."""

import click

from dagfleet.cli.settings import Settings, common_options, json_option, limit_option, selected_hosts
from dagfleet.errors import EXIT_CHANGES_PENDING


@click.command(short_help="Show what an apply would change; exits 2 when anything would.")
@limit_option
@click.option("--no-diff", is_flag=True, help="Leave out the changed lines of files.")
@json_option
@common_options
@click.pass_obj
def plan(settings: Settings, limit: tuple[str, ...], no_diff: bool, as_json: bool) -> None:
    """Show what an apply would change, host by host, and touch nothing.

    Changed files are shown as diffs, secrets masked. Exits 0 when nothing would change, 2 when something
    would.
    """
    from dagfleet.cli.planned import print_json, print_plan
    from dagfleet.phases.dry_run import dry_run

    fleet_file = settings.fleet_file()
    hosts = selected_hosts(fleet_file, limit)
    result = dry_run(fleet_file, hosts, settings.messages if as_json else settings.terminal)
    if as_json:
        print_json(result, settings.terminal)
    else:
        print_plan(result, settings.terminal, diffs=not no_diff)
    if result.pending:
        raise click.exceptions.Exit(EXIT_CHANGES_PENDING)

"""`dagfleet check`: is everything ready? Reads only."""

import click

from dagfleet.cli.settings import Settings, common_options, json_option, limit_option, selected_hosts


@click.command(short_help="See whether the hosts are ready; changes nothing.")
@limit_option
@click.option(
    "--accept-new-host-keys", is_flag=True, help="Trust the SSH host keys that hosts show for the first time."
)
@json_option
@common_options
@click.pass_obj
def check(settings: Settings, limit: tuple[str, ...], accept_new_host_keys: bool, as_json: bool) -> None:
    """See whether the hosts are ready, all at once, changing nothing and needing no Python there.

    Each finding comes with its mend. Exits 0 when nothing is to fix (warnings pass), 1 when something is,
    5 when a host cannot be reached or does not let us in.
    """
    from dagfleet.cli.checked import checked, print_json, print_table
    from dagfleet.phases.meeting import accept_new
    from dagfleet.probe.target import target
    from dagfleet.probe.units import count

    path = settings.fleet_path()
    fleet_file = settings.fleet_file()
    terminal = settings.terminal
    targets = [target(fleet_file, name) for name in selected_hosts(fleet_file, limit)]
    if accept_new_host_keys:
        accept_new(targets, settings.messages if as_json else terminal)
    with terminal.working("check", f"asking {count(len(targets), 'host')}"):
        result = checked(fleet_file.fleet, targets)
    if as_json:
        print_json(fleet_file.fleet, result, terminal)
    else:
        print_table(fleet_file.fleet, str(path), result, terminal)
    raise click.exceptions.Exit(result.exit_code)

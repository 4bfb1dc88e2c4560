"""`dagfleet history`: who changed the fleet, and when."""

import json
from dataclasses import asdict

import click

from dagfleet.cli.settings import Settings, common_options, json_option


@click.command(short_help="Show the releases: when, by whom, which hosts changed.")
@click.option(
    "-n", "--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many releases."
)
@json_option
@common_options
@click.pass_obj
def history(settings: Settings, last: int, as_json: bool) -> None:
    """Show the releases that the control host has recorded: each apply that changed something."""
    from dagfleet.probe.history import releases
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    found = releases(target(fleet_file, fleet_file.fleet.control.host))[-last:]
    terminal = settings.terminal
    if as_json:
        terminal.say(json.dumps([asdict(each) for each in found], indent=2))
        return
    if not found:
        terminal.say("No release yet: dagfleet apply makes the first.")
        return
    rows = [("RELEASE", "WHEN", "WHO", "CONFIG", "COMMAND", "CHANGES")]
    for each in reversed(found):
        changes = ", ".join(f"{host} {number}" for host, number in each.hosts.items())
        behind = f"; {', '.join(each.stopped)} stayed behind" if each.stopped else ""
        back = f"; taken back: {each.taken_back}" if each.taken_back else ""
        when = f"{each.when.astimezone():%Y-%m-%d %H:%M}"
        rows.append((str(each.number), when, each.by, each.config[:8], each.command, changes + behind + back))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        terminal.say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

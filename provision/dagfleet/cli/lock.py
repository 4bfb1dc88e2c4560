"""`dagfleet lock`: who works on the fleet."""

import json
from typing import Any, ClassVar

import click

from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, json_option


class LockPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("status", "release")}


@click.group(cls=LockPage, short_help="See who works on the fleet, or take a dead lock away.")
@common_options
def lock() -> None:
    """See who works on the fleet, or take a dead lock away.

    An apply holds the lock on the control host and renews it all the time; one whose machine died runs out
    after half a minute, and the next apply takes it over by itself.
    """


@lock.command(short_help="Say who holds the lock.")
@json_option
@common_options
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Say who holds the lock, since when, and when its lease runs out."""
    from dagfleet.probe.lock import look
    from dagfleet.probe.units import duration

    fleet_file = settings.fleet_file()
    holder = _on_control(fleet_file, look)
    name = fleet_file.fleet.name
    if as_json:
        facts = holder and {**vars(holder), "expires": holder.expires}
        settings.terminal.say(
            json.dumps({"fleet": name, "locked": holder is not None, "holder": facts}, indent=2)
        )
    elif holder is None:
        settings.terminal.say(f"{name} is free: nobody applies.")
    else:
        lease = f"lease renewed {holder.renewed} s ago" if holder.expires else "its lease has run out"
        settings.terminal.say(
            f'{name} is locked: {holder.who} runs "{holder.command}" for {duration(holder.held)}, {lease}.'
        )


@lock.command(short_help="Take away a lock whose owner is gone.")
@click.option("--force", is_flag=True, help="Even if its owner still renews it.")
@common_options
@click.pass_obj
def release(settings: Settings, force: bool) -> None:
    """Take away a lock whose owner is gone; one that is still renewed only with --force."""
    from dagfleet.probe.lock import break_lock

    fleet_file = settings.fleet_file()
    there = _on_control(fleet_file, lambda connection: break_lock(connection, force=force))
    settings.terminal.say(f"{fleet_file.fleet.name} is free now." if there else "There was no lock.")


def _on_control(fleet_file: Any, question: Any) -> Any:
    from dagfleet.errors import UnreachableError
    from dagfleet.probe.survey import on_each
    from dagfleet.probe.target import target

    answer = on_each([target(fleet_file, fleet_file.fleet.control.host)], question)[
        fleet_file.fleet.control.host
    ]
    if isinstance(answer, UnreachableError):
        raise answer
    return answer

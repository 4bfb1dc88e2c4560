"""`dagfleet lab`: a practice fleet on this machine."""

from typing import ClassVar

import click

from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options


class LabPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("up", "down")}
    examples = """
dagfleet lab up -f inventory/lab/fleet.yml && dagfleet apply -f inventory/lab/fleet.yml
"""


@click.group(cls=LabPage, short_help="Bring up a practice fleet on this machine, or take it down.")
@common_options
def lab() -> None:
    """Bring up a practice fleet on this machine, or take it down.

    Its hosts are containers that behave as machines: systemd, sshd and Docker of their own. Needs root.
    """


@lab.command(short_help="Make every host of the fleet file a practice machine.")
@click.option(
    "--web-port", type=click.IntRange(1, 65535), help="Publish the web UI on this port of 127.0.0.1."
)
@common_options
@click.pass_obj
def up(settings: Settings, web_port: int | None) -> None:
    """Make every host of the fleet file a practice machine; those that are up stay as they are."""
    from dagfleet import lab as practice

    terminal = settings.terminal
    fleet_file = settings.fleet_file()
    with terminal.working("lab", "practice machines"):
        practice.up(
            fleet_file, lambda title, seconds: terminal.line("lab", title, seconds), web_port=web_port
        )
    terminal.say("Next: dagfleet apply")


@lab.command(short_help="Remove the practice machines, and nothing else.")
@common_options
@click.pass_obj
def down(settings: Settings) -> None:
    """Remove the practice machines and their network, and nothing else; .dagfleet stays."""
    from dagfleet import lab as practice
    from dagfleet.probe.units import count

    removed = practice.down(settings.fleet_file())
    settings.terminal.say(f"{count(removed, 'machine')} and their network removed.")

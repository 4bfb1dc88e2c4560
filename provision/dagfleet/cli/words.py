"""The fleet's own words, for a shell that completes them."""

import click
from click.shell_completion import CompletionItem

from dagfleet.cli.settings import Settings
from dagfleet.derive.log_sources import CONTROL_PARTS
from dagfleet.errors import DagfleetError
from dagfleet.fleet import Fleet, find_fleet_file, load_fleet


def hosts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a host; without a readable fleet file there is nothing to offer."""
    del parameter
    fleet = _fleet(context)
    return _starting(incomplete, [*fleet.hosts] if fleet else [])


def locations(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a location."""
    del parameter
    fleet = _fleet(context)
    return _starting(incomplete, [*fleet.locations] if fleet else [])


def parts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a location or of a part of the control plane."""
    del parameter
    fleet = _fleet(context)
    return _starting(incomplete, [*(fleet.locations if fleet else ()), *CONTROL_PARTS])


def _starting(incomplete: str, names: list[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _fleet(context: click.Context) -> Fleet | None:
    try:
        return load_fleet(find_fleet_file(context.ensure_object(Settings).file)).fleet
    except (DagfleetError, OSError):
        return None

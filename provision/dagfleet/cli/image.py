"""`dagfleet image`: images on hosts, without a registry."""

from typing import ClassVar

import click

from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, limit_option, selected_hosts


class ImagePage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("push",)}
    examples = """
dagfleet image push etl                    to every host of the location etl
dagfleet image push etl --limit gamma      to one of them
"""


@click.group(cls=ImagePage, short_help="Send images to hosts without a registry.")
@common_options
def image() -> None:
    """Send images to hosts without a registry, through the authenticated Docker endpoint that runs use."""


@image.command(short_help="Send locations' images to their hosts, only the layers that are missing.")
@click.argument("locations", metavar="[LOCATION]...", nargs=-1)
@limit_option
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="The same as --limit.", hidden=True)
@common_options
@click.pass_obj
def push(
    settings: Settings, locations: tuple[str, ...], limit: tuple[str, ...], hosts: tuple[str, ...]
) -> None:
    """Send locations' images (all of them by default) to their hosts: from this machine's Docker, only the
    layers that a host lacks.
    """
    from dagfleet.errors import EXIT_FAILED
    from dagfleet.phases.images import images_to_send, send
    from dagfleet.probe.units import size

    fleet_file = settings.fleet_file()
    fleet = fleet_file.fleet
    chosen = set(selected_hosts(fleet_file, (*limit, *hosts)))
    for name in locations:
        _require_image(name, {known: location.image for known, location in fleet.locations.items()})
    wanted = images_to_send(fleet, list(locations or fleet.locations))
    terminal = settings.terminal
    with terminal.working("push", "looking what is missing") as now:
        sent = send(fleet_file, {host: images for host, images in wanted.items() if host in chosen}, now)
    if not sent:
        terminal.say("No host runs an image of these locations.")
    failed = False
    for each in sent:
        for reference, result in each.results.items():
            layers = f"{result.layers_sent} of {result.layers_total} layers"
            amount = f"{size(result.bytes_sent)} sent, {layers}" if result.bytes_sent else "was there already"
            terminal.line(each.host, f"{reference}  {amount}")
        if each.error:
            failed = True
            terminal.line(each.host, f"{each.error.message}\n{each.error.fix or ''}".rstrip())
    if failed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _require_image(name: str, images: dict[str, str | None]) -> None:
    from difflib import get_close_matches

    from dagfleet.errors import ConfigurationError

    if name not in images:
        near = get_close_matches(name, images, n=1)
        raise ConfigurationError(
            f'no location is named "{name}"',
            fix=f'did you mean "{near[0]}"?' if near else f"the locations are {', '.join(images)}",
        )
    if images[name] is None:
        raise ConfigurationError(
            f"location {name} runs as a process and has no image", fix="apply sends its code"
        )

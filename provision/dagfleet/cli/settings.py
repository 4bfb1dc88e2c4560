"""The options that every command takes, before or after its name."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dagfleet.cli.terminal import Terminal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from dagfleet.fleet import FleetFile

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass
class Settings:
    """What the common options said."""

    file: Path | None = None
    debug: bool = False

    def fleet_path(self) -> Path:
        """Return the fleet file in use; raises ConfigurationError."""
        from dagfleet.fleet import find_fleet_file

        return find_fleet_file(self.file)

    def fleet_file(self) -> "FleetFile":
        """Read the fleet file; raises FleetFileError with all its problems."""
        from dagfleet.fleet import load_fleet

        return load_fleet(self.fleet_path())

    @property
    def terminal(self) -> Terminal:
        """Return where answers go."""
        return Terminal()

    @property
    def messages(self) -> Terminal:
        """Return where words go that are no answer: beside JSON on standard output."""
        return Terminal(sys.stderr)


def _set_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    del parameter
    if value is not None:
        context.ensure_object(Settings).file = value


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        import logging

        context.ensure_object(Settings).debug = True
        logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")


def common_options(command: _Command) -> _Command:
    """Add -f and --debug to a command."""
    command = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks and library logs.",
    )(command)
    return click.option(
        "-f",
        "--file",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_set_file,
        metavar="FILE",
        help="The fleet file. [default: $DAGFLEET_FILE, ./fleet.yml, or the only inventory/*/fleet.yml]",
    )(command)


def json_option(command: _Command) -> _Command:
    """Add --json to a reading command."""
    return click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")(command)


def completes(
    words: str,
) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]":
    """Return the completion `dagfleet.cli.words` has under that name."""

    def complete(context: click.Context, parameter: click.Parameter, text: str) -> "list[CompletionItem]":
        # Reading fleet.yml takes long to import, and only a shell that completes wants it.
        from dagfleet.cli import words as known

        completed: list[CompletionItem] = getattr(known, words)(context, parameter, text)
        return completed

    return complete


def limit_option(command: _Command) -> _Command:
    """Add --limit to a command."""

    return click.option(
        "--limit",
        multiple=True,
        metavar="HOST",
        shell_complete=completes("hosts"),
        help="Only these hosts; may be repeated, or HOST,HOST.",
    )(command)


def selected_hosts(fleet_file: "FleetFile", limit: tuple[str, ...]) -> list[str]:
    """Return the host names that `--limit` selects, in the file's order; raises ConfigurationError."""
    from difflib import get_close_matches

    from dagfleet.errors import ConfigurationError

    known = list(fleet_file.fleet.hosts)
    wanted = [name for part in limit for name in part.split(",") if name]
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f'no host is named "{name}"',
                fix=f'did you mean "{near[0]}"?' if near else f"the hosts are {', '.join(known)}",
            )
    return [name for name in known if not wanted or name in wanted]

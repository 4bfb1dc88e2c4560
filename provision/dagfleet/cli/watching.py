"""Asking again and again, until somebody has seen enough."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.terminal import Terminal
from dagfleet.errors import EXIT_OK

_Command = TypeVar("_Command", bound=Callable[..., Any])
CLEAR = "\x1b[H\x1b[2J"


def watch_option(command: _Command) -> _Command:
    """Add --watch to a reading command."""
    return click.option(
        "--watch",
        type=Span(),
        is_flag=False,
        flag_value="5s",
        metavar="[TIME]",
        help="Ask again every 5 s, or as often as said, until Ctrl-C.",
    )(command)


def watched(
    look: Callable[[], int],
    every: float | None,
    terminal: Terminal,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Look once, or every so many seconds until Ctrl-C; return the exit code of the last look.

    On a terminal each look takes the place of the one before, elsewhere they follow each other.
    """
    if every is None:
        return look()
    code = EXIT_OK
    try:
        while True:
            lines: list[str] = []
            with terminal.held(lines):
                code = look()
            if terminal.live:
                terminal.say(CLEAR + "\n".join(_headed(lines)))
            else:
                terminal.say("\n".join(lines))
            sleep(every)
    except KeyboardInterrupt:
        return code


def _headed(lines: Sequence[str]) -> list[str]:
    return [f"{time.strftime('%H:%M:%S')}, until Ctrl-C", *lines]

"""From an exception to what people read and to the exit code; the only place that knows both."""

import sys
import traceback
from collections.abc import Callable

import click

from dagfleet.cli.terminal import Terminal
from dagfleet.errors import (
    EXIT_BAD_CONFIGURATION,
    EXIT_OK,
    ConfigurationError,
    DagfleetError,
    FleetFileError,
)
from dagfleet.phases.interrupted import StoppedError

UNTOUCHED = "Nothing was touched."
COMMANDS = frozenset({"dagfleet", "docker", "journalctl", "make", "rm", "ssh", "systemctl"})


def guarded(
    command: Callable[[], int | None], *, debug: Callable[[], bool], terminal: Terminal | None = None
) -> int:
    """Run a command and return its exit code; whatever goes wrong is printed as people read it."""
    out = terminal or Terminal(sys.stderr)
    try:
        # Outside its standalone mode click returns the code that a command exits with.
        return command() or EXIT_OK
    except click.Abort:
        return report(StoppedError("Stopped", fix=UNTOUCHED), out)
    except (click.ClickException, KeyboardInterrupt, Exception) as error:
        if debug():
            traceback.print_exc()
        if isinstance(error, click.ClickException):
            # Exit code 2 means that changes are pending: a mistyped option must not look like it.
            _print_usage(error, out)
            return EXIT_BAD_CONFIGURATION
        return report(_as_ours(error), out)


def _as_ours(error: BaseException) -> DagfleetError:
    match error:
        case DagfleetError():
            return error
        case KeyboardInterrupt():
            return StoppedError("Stopped", fix=UNTOUCHED)
    return DagfleetError(
        f"Dagfleet stumbled over something it did not expect: {type(error).__name__}: {error}",
        fix="run it again with --debug and report what it prints",
    )


def report(error: DagfleetError, out: Terminal) -> int:
    """Print an error, the thing and the fact first and the next step below; return its exit code."""
    if isinstance(error, FleetFileError):
        _print_problems(error, out)
    else:
        out.say(out.paint(sentence(error.message), fg="red"))
        if error.fix:
            out.say(capital(sentence(error.fix)))
        for note in getattr(error, "__notes__", [UNTOUCHED] if isinstance(error, ConfigurationError) else []):
            out.say(note)
    return error.exit_code


def sentence(text: str) -> str:
    """Return the text ended like a sentence, its first letter as it is: it may be a name or a command."""
    text = text.rstrip()
    return text if text.endswith((".", "!", "?", ":")) or "\n" in text else f"{text}."


def capital(text: str) -> str:
    """Return the text with its first letter large, unless it starts with a command or a name."""
    word, _, _ = text.partition(" ")
    return text if not word.isalpha() or word in COMMANDS else text[0].upper() + text[1:]


def _print_problems(error: FleetFileError, out: Terminal) -> None:
    out.say(out.paint(f"{error.message}:", fg="red"))
    line_width = max((len(str(problem.line or "")) for problem in error.problems), default=0)
    # One very long key must not push every fact off the screen.
    key_width = min(40, max((len(problem.key) for problem in error.problems), default=0))
    for problem in error.problems:
        place = f"{problem.line or '':>{line_width}}  " if line_width else ""
        key = f"{problem.key:<{key_width}}  " if key_width else ""
        out.say(f"  {out.paint(place, dim=True)}{out.paint(key, bold=True)}{problem.fact}")
    out.say(UNTOUCHED)


def _print_usage(error: click.ClickException, out: Terminal) -> None:
    out.say(out.paint(sentence(error.format_message()), fg="red"))
    if isinstance(error, click.UsageError) and error.ctx is not None:
        out.say(f"See: {error.ctx.command_path} --help")

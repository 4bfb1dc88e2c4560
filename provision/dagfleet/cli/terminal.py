"""What people read: lines on a terminal with colour and a moving last line, plain lines everywhere else."""

import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from dagfleet.probe.units import duration

WIDTH = 100
LABEL = 9
MOST_LINES = 24


class Terminal:
    """Prints to one stream. `live` says that a person watches: then long work moves."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self._moving: Any = None
        self._held: list[str] | None = None

    def say(self, text: str = "") -> None:
        """Print a line."""
        if self._held is not None:
            self._held.append(text)
            return
        if self._moving is not None:
            from rich.text import Text

            self._moving.console.print(Text.from_ansi(text), soft_wrap=True)
            return
        self._stream.write(f"{text}\n")
        self._stream.flush()

    @contextmanager
    def held(self, lines: list[str]) -> Iterator[None]:
        """Collect lines instead of printing them until the block ends, and let nothing move meanwhile."""
        self._held = lines
        try:
            yield
        finally:
            self._held = None

    def line(self, label: str, text: str, seconds: float | None = None) -> None:
        """Print `label  text  seconds`, the text wrapped under itself and the time at the right edge."""
        room = WIDTH - LABEL - (10 if seconds is not None else 0)
        first, *others = _wrapped(text, room)
        edge = f"{duration(seconds):>10}" if seconds is not None else ""
        shown = first + " " * (room - len(click.unstyle(first))) + edge if edge else first
        self.say(f"{self.paint(f'{label:<{LABEL}}', bold=True)}{shown}".rstrip())
        for other in others:
            self.say(f"{'':<{LABEL}}{other}")

    def paint(self, text: str, **style: Any) -> str:
        """Return the text in a style (click.style), or as it is where colour is not wanted."""
        return click.style(text, **style) if self.colour else text

    @contextmanager
    def working(self, label: str, text: str) -> Iterator[Callable[[str], None]]:
        """Show that something takes its time, with its seconds; the yielded function says what it is at."""
        started = time.monotonic()
        lines = [text]

        def rows() -> Sequence[tuple[str, str, float]]:
            return [(label, lines[0], time.monotonic() - started)]

        with self.moving(rows):
            yield lambda now: lines.__setitem__(0, now)

    @contextmanager
    def moving(self, rows: Callable[[], Sequence[tuple[str, str, float]]]) -> Iterator[None]:
        """Redraw `rows` (label, text, seconds) until the block ends; nothing without a watcher."""
        if not self.live or self._moving is not None or self._held is not None:
            yield
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, width=min(WIDTH, Console().width), highlight=False)
        with Live(
            get_renderable=lambda: _frame(list(rows())), console=console, refresh_per_second=8, transient=True
        ) as moving:
            self._moving = moving
            try:
                yield
            finally:
                self._moving = None


def _frame(rows: Sequence[tuple[str, str, float]]) -> Any:
    from rich.spinner import Spinner
    from rich.table import Table

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(width=LABEL - 3, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    for label, text, seconds in rows[:MOST_LINES]:
        table.add_row(_spinner(Spinner), label, text, duration(seconds))
    return table


_SPINNERS = threading.local()


def _spinner(kind: Any) -> Any:
    # One spinner for all frames: a new one would stand still at its first picture.
    if not hasattr(_SPINNERS, "spinner"):
        _SPINNERS.spinner = kind("dots", style="cyan")
    return _SPINNERS.spinner


def _wrapped(text: str, room: int) -> list[str]:
    """Wrap at words unless styled or short enough."""
    lines = []
    for part in text.split("\n"):
        if len(click.unstyle(part)) <= room or part != click.unstyle(part):
            lines.append(part)
        else:
            lines += textwrap.wrap(part, room, break_long_words=False, break_on_hyphens=False)
    return lines or [""]

"""What phases tell the person who waits."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Rows = Callable[[], Sequence[tuple[str, str, float]]]


class Progress(Protocol):
    """Where phases print; `dagfleet.cli.terminal.Terminal` is one."""

    def line(self, label: str, text: str, seconds: float | None = None) -> None:
        """Print a line with a label in front and a duration at its end."""

    def say(self, text: str = "") -> None:
        """Print a line as it is."""

    def working(self, label: str, text: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that something takes its time; the yielded function says what it is at."""

    def moving(self, rows: Rows) -> AbstractContextManager[None]:
        """Redraw (label, text, seconds) rows while the block runs."""

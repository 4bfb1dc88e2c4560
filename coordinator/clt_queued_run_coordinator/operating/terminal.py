"""Tables and times as a person reads them; a terminal's width is kept, a pipe gets every word."""

import shutil
import sys
from collections.abc import Sequence

MINUTE, HOUR, DAY = 60, 3600, 86400


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns; on a terminal the last one is cut to fit."""
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    lines = []
    for row in (headings, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(_fitted(line) for line in lines)


def duration(seconds: float) -> str:
    """Return for instance `42 s`, `3 min 5 s`, `2 h 10 min` or `4 d 3 h`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def number(value: int) -> str:
    """Return the number with its thousands apart."""
    return f"{value:,}".replace(",", " ")


def _fitted(line: str) -> str:
    if not sys.stdout.isatty():
        return line
    columns = shutil.get_terminal_size((100, 24)).columns
    return line if len(line) <= columns else line[: columns - 1] + "…"

"""Tables of what was measured, for people, and the line of JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def spread(values: Sequence[float], unit: float = 1, digits: int = 1) -> str:
    """Return the median, and from where to where the values reach."""
    scaled = [value * unit for value in values]
    middle = f"{median(scaled):.{digits}f}"
    return middle if len(scaled) < 2 else f"{middle} ({min(scaled):.{digits}f}-{max(scaled):.{digits}f})"


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a title and aligned columns."""
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (headings, *rows)]  # fmt: skip
    return "\n".join(["", title, *(f"  {line}" for line in lines)])

"""The table of docs/security.md: who gets which answer at which door."""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- matrix: tests/e2e/test_matrix.py tries every cell -->", "<!-- end of the matrix -->"


@dataclass(frozen=True)
class Door:
    """A column: its title without the ports, and the ports that it stands for."""

    title: str
    ports: range


@dataclass(frozen=True)
class Matrix:
    """Doors, and the words in each row by who asks."""

    doors: tuple[Door, ...]
    rows: dict[str, tuple[str, ...]]


def read_matrix(text: str | None = None) -> Matrix:
    """Return the page's table; every row has a word for each door."""
    page = PAGE.read_text() if text is None else text
    lines = [line for line in page.split(BEGIN)[1].split(END)[0].splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    doors = tuple(_door(cell) for cell in header[1:])
    words = {row[0]: tuple(row[1:]) for row in rows}
    assert all(len(row) == len(doors) for row in words.values()), "a row of the matrix lacks a cell"
    return Matrix(doors, words)


def _door(cell: str) -> Door:
    title, _, ports = cell.rpartition(" ")
    first, _, last = ports.partition("-")
    return Door(title.rstrip(","), range(int(first), int(last or first) + 1))

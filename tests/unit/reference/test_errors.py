"""The page of errors quotes what the program says, word for word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs/errors.md"
SOURCES = (
    "provision/dagfleet",
    "launcher/dagster_multihost_launcher",
    "coordinator/clt_queued_run_coordinator",
    "roles",
)


def sentences() -> Iterator[str]:
    """Every text in the sources, with … for what is put in at run time."""
    for folder in SOURCES:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
    for path in (REPOSITORY / "roles").rglob("tasks/*.yml"):
        yield re.sub(r"\s+", " ", re.sub(r"\{\{.*?\}\}", "…", path.read_text(), flags=re.DOTALL))
    for path in filter(Path.is_file, (REPOSITORY / "roles").rglob("files/lib/*")):
        # Shell, and Python that formats with %.
        yield re.sub(r"\$\(.*?\)|\$\w+|%[sd]", "…", path.read_text())


def test_every_error_on_the_page_is_one_that_the_program_can_print() -> None:
    headings = re.findall(r"^### `(.*)`$", PAGE.read_text(), re.MULTILINE)
    said = list(sentences())
    assert len(headings) > 20
    assert [heading for heading in headings if not any(heading in sentence for sentence in said)] == []

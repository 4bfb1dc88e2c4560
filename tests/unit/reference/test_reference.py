"""The generated reference of fleet.yml."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from dagfleet.fleet import json_schema
from dagfleet.fleet.reference import reference_text

SCRIPT = Path(__file__).parents[3] / "scripts/generate_reference.py"


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DOCS", tmp_path)
    return module


def test_every_key_of_the_model_has_a_row(generator: ModuleType) -> None:
    schema = json_schema()
    page = generator.reference_page(schema)
    parts = [schema, *schema["$defs"].values()]
    missing = [key for part in parts for key in part["properties"] if f"| `{key}` |" not in page]
    assert not missing


def test_every_row_says_what_its_key_means(generator: ModuleType) -> None:
    rows = re.findall(r"^\| `.*$", generator.reference_page(json_schema()), re.MULTILINE)
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_link_leads_to_a_section(generator: ModuleType) -> None:
    page = generator.reference_page(json_schema())
    headings = re.findall(r"^## `?([^`\n]+)`?$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w-]", "", heading) for heading in headings}
    links = set(re.findall(r"\(#([^)]+)\)", page))
    assert links
    assert links <= anchors


def test_checking_notices_a_page_that_fell_behind(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    page = tmp_path / "fleet-yml.md"
    page.write_text(page.read_text().replace("required", "optional"))
    assert generator.main(["--check"]) == 1
    assert "docs/fleet-yml.md does not say what the fleet model says" in capsys.readouterr().out
    assert "optional" in page.read_text(), "checking writes nothing"


def test_the_terminal_gets_the_same_keys_without_markdown() -> None:
    schema = json_schema()
    text = reference_text(schema)
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part["properties"]}
    assert not [key for key in keys if f"    {key}: " not in text]
    assert not set("`|") & set(text), "what Markdown needs means nothing here"
    assert max(map(len, text.splitlines())) <= 110


def test_a_part_alone_comes_with_what_is_below_it() -> None:
    text = reference_text(json_schema(), only="hosts")
    assert text.startswith("hosts.<name>\n  One Linux machine.\n    address: text, required\n")
    assert "\nhosts.<name>.ssh\n" in text
    assert "locations" not in text.splitlines()
    assert reference_text(json_schema(), only="hostz") == ""

"""The JSON Schema that editors use agrees with the model."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from dagfleet.fleet import json_schema
from dagfleet.paths import bundle
from ruamel.yaml import YAML

from tests.unit.fleet.texts import fleet_text


def valid(text: str) -> bool:
    data: Any = YAML(typ="safe", pure=True).load(text)
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(data))


@pytest.mark.parametrize("name", ["lab", "example"])
def test_shipped_fleets_fit_the_schema(name: str) -> None:
    assert valid((bundle() / "inventory" / name / "fleet.yml").read_text())


@pytest.mark.parametrize(
    "section",
    ["nmae: x", "pki: {leaf_days: ninety}", "docker: {images: send}", "secrets: {x: {generated: false}}"],
)
def test_an_editor_sees_the_same_mistakes(section: str) -> None:
    assert valid(fleet_text())
    assert not valid(fleet_text(**{section.split(":", maxsplit=1)[0]: section}))


def test_every_key_is_described() -> None:
    schema = json_schema()
    parts = {"Fleet": schema, **schema["$defs"]}
    assert [
        f"{part}.{key}"
        for part, content in parts.items()
        for key, value in content.get("properties", {}).items()
        if not (value.get("description") or _part(schema, value).get("description"))
    ] == []


def _part(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = schema["$defs"].get(value.get("$ref", "").rsplit("/", 1)[-1], {})
    return part

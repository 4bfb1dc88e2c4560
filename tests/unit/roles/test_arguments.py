"""A role's argument_specs and defaults say the same, so that either is its reference."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
PYTHON = {"bool": bool, "dict": dict, "int": int, "list": list, "path": str, "str": str}


def entries(role: str) -> dict[str, dict[str, Any]]:
    specs: dict[str, Any] = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())
    return {entry: spec.get("options", {}) for entry, spec in specs["argument_specs"].items()}


def options(role: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield entry point, name and specification of each of a role's variables."""
    for entry, found in entries(role).items():
        for name, option in found.items():
            yield entry, name, option


def defaults(role: str) -> dict[str, Any]:
    return yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()) or {}


def is_template(value: object) -> bool:
    return isinstance(value, str) and "{{" in value


@pytest.mark.parametrize("role", NAMES)
def test_every_default_is_an_argument_and_every_argument_a_default_unless_required(role: str) -> None:
    required = {name for _, name, option in options(role) if option.get("required")}
    optional = {name for _, name, _ in options(role)} - required
    assert set(defaults(role)) == optional, "a default makes a required argument optional"


@pytest.mark.parametrize("role", NAMES)
def test_required_arguments_stand_in_the_defaults_as_comments(role: str) -> None:
    named = set(re.findall(r"^# (\w+):$", (ROLES / role / "defaults/main.yml").read_text(), re.MULTILINE))
    assert named == {name for _, name, option in options(role) if option.get("required")}


@pytest.mark.parametrize("role", NAMES)
def test_defaults_are_those_of_the_specification(role: str) -> None:
    values = defaults(role)
    differing = {
        (entry, name): (option.get("default"), values[name])
        for entry, name, option in options(role)
        if name in values
        # A template or null is no default that a specification can hold.
        and option.get("default") != (None if is_template(values[name]) else values[name])
    }
    assert not differing


@pytest.mark.parametrize("role", NAMES)
def test_defaults_have_the_type_that_they_promise(role: str) -> None:
    values = defaults(role)
    for _, name, option in options(role):
        value = values.get(name)
        if value is not None and not is_template(value):
            assert type(value) is PYTHON[option["type"]], name


@pytest.mark.parametrize("role", NAMES)
def test_entry_points_agree_on_a_variable_that_they_share(role: str) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for entry, name, option in options(role):
        assert seen.setdefault(name, option) == option, f"{name} of {entry}"


@pytest.mark.parametrize("role", NAMES)
def test_entry_points_exist_and_variables_have_the_roles_name(role: str) -> None:
    for entry, found in entries(role).items():
        assert (ROLES / role / "tasks" / f"{entry}.yml").is_file()
        assert [name for name in found if not name.startswith(f"{role}_")] == []

"""Tasks that handle secrets say so, so that neither output nor a diff shows one."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
SECRET = re.compile(r"password|passphrase|secret|token|private|(web|registry)_users$|web_certificate$")

# What of a task is neither written anywhere nor shown.
UNSEEN = {"name", "when", "register", "loop_control", "failed_when", "changed_when", "until", "notify"}

# What is left of a secret after these may be shown: that it is there, a hash, other keys of the same mapping.
HARMLESS = (
    r"\b(if|when|and|not) [\w.\[\]' ]*{name}\b(?= (else|and|or)|\))",
    r"\b{name}\b(?= is | \| length\b| != | == )",
    r"\b{name}\b(?=[^}}]*?\| hash\()",
    r"\b{name}\b(?= \| map\(attribute='(?!\w*(secret|password))\w+'\))",
    r"\b{name}\b(?= \| map\('combine', \{{'secret_environment': \{{\}}\}}\))",
    r"#[^\n]*\b{name}\b",
)


def options(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in found.items():
        yield name, option
        yield from options(option.get("options", {}))


def holds_secret(option: Mapping[str, Any]) -> bool:
    return bool(option.get("no_log")) or any(map(holds_secret, option.get("options", {}).values()))


def shows(text: str, name: str) -> bool:
    """Tell whether `text` shows the value called `name`."""
    for harmless in HARMLESS:
        text = re.sub(harmless.format(name=re.escape(name)), "", text)
    return re.search(rf"(?<![\w./]){re.escape(name)}(?![\w])", text) is not None


def secrets(role: str) -> set[str]:
    """Return the arguments that hold secrets, and the variables and templates made of them."""
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    arguments = {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}
    found = {name for name, option in arguments.items() if holds_secret(option)}
    made = {path.name: path.read_text() for path in (ROLES / role).glob("templates/**/*.j2")}
    for template, text in list(made.items()):
        # Of a list of mappings a template may write what is no secret.
        for name in found:
            inner = [
                key for key, option in arguments[name].get("options", {}).items() if holds_secret(option)
            ]
            if inner and not any(key in text for key in inner):
                made[template] = made[template].replace(name, "")
    variables = ROLES / role / "vars/main.yml"
    if variables.is_file():
        made |= {name: str(value) for name, value in yaml.safe_load(variables.read_text()).items()}
    while more := {name for name, text in made.items() if any(shows(text, one) for one in found)} - found:
        found |= more
    return found


def texts(value: object) -> str:
    """Return all text in a task, a line each."""
    if isinstance(value, dict):
        return "\n".join(map(texts, value.values()))
    return "\n".join(map(texts, value)) if isinstance(value, list) else str(value)


def tasks(found: list[dict[str, Any]], hidden: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield every task, blocks' inner ones too, and whether it hides what it does."""
    for task in found:
        hides = hidden or task.get("no_log") is True
        inner = [one for part in ("block", "rescue", "always") for one in task.get(part, ())]
        if inner:
            yield from tasks(inner, hides)
        else:
            yield task, hides


@pytest.mark.parametrize("role", NAMES)
def test_arguments_whose_names_say_that_they_are_secret_are_hidden(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    told = [
        name
        for spec in specs.values()
        for name, option in options(spec.get("options", {}))
        if SECRET.search(name) and option["type"] in ("str", "dict") and not option.get("no_log")
    ]
    assert told == []


@pytest.mark.parametrize("role", NAMES)
def test_tasks_with_secrets_have_no_log(role: str) -> None:
    known = secrets(role)
    telling = []
    for file in sorted((ROLES / role).glob("tasks/*.yml")) + sorted((ROLES / role).glob("handlers/*.yml")):
        for task, hidden in tasks(yaml.safe_load(file.read_text()) or []):
            text = texts({key: value for key, value in task.items() if key not in UNSEEN})
            shown = sorted(
                name for name in known if shows(text, name) or (name.endswith(".j2") and "}}.j2" in text)
            )
            if shown and not hidden:
                telling.append((file.name, task["name"], shown))
    assert telling == []


@pytest.mark.parametrize(
    ("role", "secret"),
    [
        ("code_server", "code_server_locations"),
        ("control_plane", "control_plane_secret_environment"),
        ("mesh", "users.cfg.j2"),
        ("mesh", "mesh_users_text"),
        ("postgres", "postgres_databases"),
        ("process_location", "pgpass.j2"),
    ],
)
def test_this_file_knows_what_is_secret(role: str, secret: str) -> None:
    assert secret in secrets(role)

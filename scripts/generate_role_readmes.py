"""Write the roles' variables into their READMEs, from argument_specs; with --check, say which are stale."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
MARK = (
    "<!-- Generated from meta/argument_specs.yml and defaults/main.yml (`make docs`): changes are lost. -->"
)
TYPES = {
    "bool": "true or false",
    "dict": "mapping",
    "float": "number",
    "int": "number",
    "path": "path",
    "str": "text",
}


def main(arguments: list[str]) -> int:
    """Write the READMEs, or check them; the exit code is 1 when a checked one is stale."""
    stale = {}
    for role in sorted(path.parent.parent for path in ROLES.glob("*/meta/argument_specs.yml")):
        readme = role / "README.md"
        written = readme.read_text()
        if (text := f"{written.partition('## Variables')[0].rstrip()}\n\n{variables(role)}") != written:
            stale[readme] = text
    if "--check" not in arguments:
        for readme, text in stale.items():
            readme.write_text(text)
        return 0
    for readme in stale:
        print(
            f"roles/{readme.parent.name}/README.md does not say what its argument_specs say; "
            "write it again with: make docs"
        )
    return 1 if stale else 0


def variables(role: Path) -> str:
    """Return the section on a role's variables: a table for each of its entry points that has any."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    parts = ["## Variables", MARK]
    for entry, spec in specs.items():
        if options := spec.get("options"):
            heading = "" if entry == "main" else f" (`tasks_from: {entry}`)"
            table = ["| variable | value | default | meaning |", "| --- | --- | --- | --- |"]
            parts += [
                f"### {spec['short_description']}{heading}",
                "\n".join([*table, *rows(options, defaults)]),
            ]
    return "\n\n".join(parts) + "\n"


def rows(options: Mapping[str, Any], defaults: Mapping[str, Any] | None, within: str = "") -> Iterator[str]:
    """Yield a row for each variable, and for each key of one that is a mapping or a list of mappings."""
    for name, option in options.items():
        cells = (f"`{within}{name}`", value(option), default(name, option, defaults), meaning(option))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if inner := option.get("options"):
            step = "[]." if option["type"] == "list" else "."
            yield from rows(inner, None, f"{within}{name}{step}")


def value(option: Mapping[str, Any]) -> str:
    """Say in words what a variable may hold."""
    if choices := option.get("choices"):
        return " or ".join(f"`{choice}`" for choice in choices)
    if option["type"] == "list":
        each = {"dict": "mappings", "int": "numbers", "path": "paths"}.get(option["elements"], "texts")
        return f"list of {each}"
    return TYPES[option["type"]]


def default(name: str, option: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> str:
    """Return a variable's default: as in defaults/main.yml, or for an inner key as its specification says."""
    if option.get("required"):
        return "**required**"
    given = option.get("default") if defaults is None else defaults.get(name)
    if given is None:
        return "none"
    if isinstance(given, str):
        return f"`{' '.join(given.split())}`" if given else "empty"
    return f"`{json.dumps(given, ensure_ascii=False)}`"


def meaning(option: Mapping[str, Any]) -> str:
    """Return what a variable means, as Markdown; a secret says that it is one."""
    lines = option["description"]
    text = " ".join(lines if isinstance(lines, list) else [lines])
    for mark in "CEO":
        while (start := text.find(f"{mark}(")) >= 0:
            end = text.index(")", start)
            text = f"{text[:start]}`{text[start + 2 : end]}`{text[end + 1 :]}"
    return f"{text} Secret." if option.get("no_log") and "ecret" not in text else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

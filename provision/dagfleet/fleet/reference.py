"""The reference of fleet.yml, from the annotated model: a page for people, and the same for a terminal."""

import html
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

INTRODUCTION = """\
# fleet.yml, every key

<!-- Generated from dagfleet.fleet by scripts/generate_reference.py (`make docs`): changes here are lost. -->

`<name>` stands for a name of your own. Unknown keys are refused. For completion and checks in an editor, put
this first in the file, with your path to [fleet.schema.json](fleet.schema.json):

```yaml
# yaml-language-server: $schema=docs/fleet.schema.json
```
"""


def reference_page(schema: Schema) -> str:
    """Return the page for people: a section for each part of the file, a row for each key."""
    sections = (f"{_heading(path)}\n\n{_body(part, path, schema)}\n" for path, part in _parts(schema, schema))
    return "\n".join((INTRODUCTION, *sections))


def _parts(part: Schema, root: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every mapping that has keys of its own, outermost first, with its path: `hosts.<name>.ssh`."""
    yield path, part
    for key, value in part["properties"].items():
        if inner := _inner(value, root) or _inner(value.get("items", {}), root):
            step, target = inner
            yield from _parts(target, root, f"{path}.{key}{step}".lstrip("."))


def _inner(value: Schema, root: Schema) -> tuple[str, Schema] | None:
    """Return the mapping that a key holds, after the step to it: `.<name>` where names are the user's own."""
    candidates = [value, *value.get("anyOf", ())]
    nested = [each["additionalProperties"] for each in candidates if each.get("additionalProperties")]
    for step, found in [("", each) for each in candidates] + [(".<name>", each) for each in nested]:
        if reference := found.get("$ref"):
            return step, root["$defs"][reference.rpartition("/")[2]]
    return None


def _heading(path: str) -> str:
    return f"## `{path}`" if path else "## The file"


def _body(part: Schema, path: str, root: Schema) -> str:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for key, value in part["properties"].items():
        kind = _kind(value, f"{path}.{key}".lstrip("."), root)
        cells = (f"`{key}`", kind, _default(key, value, part), _meaning(value, root))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return f"{part['description']}\n\n" + "\n".join(rows)


def _meaning(value: Schema, root: Schema) -> str:
    """Return the key's description, or that of the mapping it holds, and an example."""
    inner = _inner(value, root)
    meaning: str = value.get("description") or (inner[1]["description"] if inner else "")
    return meaning + "".join(f" Example: `{_text(example)}`" for example in value.get("examples", ())[:1])


def _kind(value: Schema, path: str, root: Schema) -> str:
    """Say in words what a key may hold."""
    if inner := _inner(value, root):
        constants = [_kind(each, path, root) for each in value.get("anyOf", ()) if "const" in each]
        return " or ".join([*constants, _link(path + inner[0])])
    if "anyOf" in value:
        return " or ".join(_kind(each, path, root) for each in value["anyOf"] if each.get("type") != "null")
    if choices := value.get("enum", [value["const"]] if "const" in value else []):
        return " or ".join(f"`{_text(choice)}`" for choice in choices)
    if value["type"] == "array":
        return f"list of {_kind(value['items'], path, root)}"
    if value["type"] == "object":
        return f"mapping of {_kind(value['additionalProperties'], path, root)}"
    return _scalar(value)


def _link(section: str) -> str:
    """Return a link to a section, whose anchor is its heading without dots and angle brackets."""
    anchor = "".join(character for character in section if character.isalnum() or character in "_-")
    return f"[{section.replace('<', '&lt;').replace('>', '&gt;')}](#{anchor})"


def _scalar(value: Schema) -> str:
    if value.get("pattern", "").startswith("^secret://"):
        return "`secret://NAME`"
    if value["type"] == "integer":
        return _whole_number(value)
    words = {"string": "text", "boolean": "true or false", "number": "a number"}
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return ", ".join(words[each] for each in types)


def _whole_number(value: Schema) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    if low is not None and high is not None:
        return f"whole number, {low} to {high}"
    return "whole number" if low is None else f"whole number, {low} or more"


def _default(key: str, value: Schema, part: Schema) -> str:
    if key in part.get("required", ()):
        return "required"
    default = value.get("default")
    return "" if isinstance(default, dict) or default in (None, []) else f"`{_text(default)}`"


def _text(value: object) -> str:
    """Return a value as YAML's flow style has it; text stays bare."""
    return value if isinstance(value, str) else json.dumps(value)


def reference_text(schema: Schema, *, only: str = "", width: int = 100) -> str:
    """Return the reference as plain text; `only` is a part's path, such as `hosts` or `control.web`.

    Without such a part it is empty.
    """
    blocks = []
    for path, part in _parts(schema, schema):
        bare = path.replace(".<name>", "")
        if not only or bare == only or bare.startswith(f"{only}."):
            rows = [_plain_row(key, path, part, schema, width=width) for key in part["properties"]]
            blocks.append("\n".join([path or "the file", f"  {part['description']}", *rows]))
    return "\n\n".join(blocks)


def part_names(schema: Schema) -> list[str]:
    """Return the paths that `reference_text` knows: `control`, `control.web`, `hosts`."""
    return [path.replace(".<name>", "") for path, _ in _parts(schema, schema) if path]


def _plain_row(key: str, path: str, part: Schema, root: Schema, *, width: int) -> str:
    value = part["properties"][key]
    kind = _plain(_kind(value, f"{path}.{key}".lstrip("."), root))
    default = _plain(_default(key, value, part))
    facts = (
        f"{kind}, {default}" if default == "required" else f"{kind}, default {default}" if default else kind
    )
    meaning = textwrap.wrap(_plain(_meaning(value, root)), width - 8)
    return "\n".join([f"    {key}: {facts}", *(f"        {line}" for line in meaning)])


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"\[([^]]*)\]\(#[^)]*\)", r"\1", text)).replace("`", "")

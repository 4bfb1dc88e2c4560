"""What pydantic found wrong in fleet.yml, in a user's words and with the next step."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dagfleet.fleet.document import KeyPath
from dagfleet.fleet.model import json_schema

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


_schema = cache(json_schema)


def mistakes(error: ValidationError, data: object) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the sentence for each mistake that `error` lists about `data`."""
    schema = _schema()
    found = [(_key_path(details["loc"], data), details) for details in error.errors(include_url=False)]
    meant = {
        (*path[:-1], close)
        for path, details in found
        if details["type"] == "extra_forbidden" and (close := _close_key(path, schema))
    }
    for path, details in found:
        if details["type"] == "missing" and path in meant:
            continue  # the misspelt key says it already
        yield path, _sentence(path, details, schema)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return `did you mean "gamma"?`, or what is known when nothing is close."""
    if close := difflib.get_close_matches(name, known, n=1):
        return f'did you mean "{close[0]}"?'
    return f"known are {', '.join(known)}" if known else "none is declared"


def _sentence(path: KeyPath, details: ErrorDetails, schema: Mapping[str, Any]) -> str:
    node = _schema_at(path, schema)
    context = details.get("ctx", {})
    sentences: dict[str, Callable[[], str]] = {
        "extra_forbidden": lambda: _unknown_key(path, schema),
        "invalid_key": lambda: "unknown key; keys are words",
        "missing": lambda: f"missing; {_described(node)}",
        "value_error": lambda: str(context["error"]),
        "literal_error": lambda: f"must be {_choices(node)}{_found(details['input'])}",
        "too_short": lambda: f"is empty; {_described(node)}",
        "string_too_short": lambda: f"is empty; {_described(node)}",
        "greater_than": lambda: f"must be more than {context['gt']:g}, not {details['input']}",
        "greater_than_equal": lambda: f"must be {context['ge']} or more, not {details['input']}",
        "less_than_equal": lambda: f"must be {context['le']} or less, not {details['input']}",
    }
    if sentence := sentences.get(details["type"]):
        return sentence()
    if details["loc"][-1] == "[key]":
        return "names are text; put it in quotes"
    if details["input"] is None:
        return f"is empty; write {_kind(node)}{_example(node)}"
    return f"must be {_kind(node)}{_example(node)}{_found(details['input'])}"


def _unknown_key(path: KeyPath, schema: Mapping[str, Any]) -> str:
    here = _properties(path[:-1], schema)
    key = str(path[-1])
    if close := _close_key(path, schema):
        a_list = " (a list)" if _plain(here[close], schema).get("type") == "array" else ""
        return f'unknown key; did you mean "{close}"{a_list}?'
    for name in here:
        if key in _properties((*path[:-1], name), schema):
            return f'unknown key; it belongs under "{name}"'
    return f"unknown key; known here are {', '.join(here)}"


def _close_key(path: KeyPath, schema: Mapping[str, Any]) -> str | None:
    close = difflib.get_close_matches(str(path[-1]), list(_properties(path[:-1], schema)), n=1)
    return close[0] if close else None


def _properties(path: KeyPath, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", _schema_at(path, schema).get("properties", {}))


def _schema_at(path: KeyPath, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Mapping[str, Any] = schema
    for step in path:
        if isinstance(step, int):
            below = node.get("items", {})
        else:
            below = node.get("properties", {}).get(step) or node.get("additionalProperties") or {}
        node = _plain(below, schema)
    return node


def _plain(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and leave out null: what a key holds when it is written at all."""
    told = {key: value for key, value in node.items() if key in {"description", "examples"}}
    options = [option for option in node.get("anyOf", [node]) if option.get("type") != "null"]
    resolved = options[-1]
    if "$ref" in resolved:
        resolved = schema["$defs"][resolved["$ref"].rsplit("/", 1)[-1]]
    return {**resolved, **told}


def _described(node: Mapping[str, Any]) -> str:
    text = str(node.get("description", "")).strip()
    return f"{text[:1].lower()}{text[1:].rstrip('.')}{_example(node)}"


def _kind(node: Mapping[str, Any]) -> str:
    if "enum" in node or "const" in node:
        return _choices(node)
    kind = _KINDS.get(str(node.get("type")), "something else")
    if properties := node.get("properties"):
        return f"{kind} with {', '.join(node.get('required', properties))}"
    return kind


def _choices(node: Mapping[str, Any]) -> str:
    return " or ".join(str(choice) for choice in node.get("enum", [node.get("const")]))


def _example(node: Mapping[str, Any]) -> str:
    examples = node.get("examples")
    return f", such as {_flow(examples[0])}" if examples else ""


def _flow(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _found(value: object) -> str:
    # Never the value itself: it may be a secret in the wrong place.
    if isinstance(value, str) and value.removeprefix("-").isdigit():
        return "; take the quotes off"
    if value is None:
        return "; nothing is written here"
    for kind, words in {
        bool: "true or false",
        str: "text",
        int | float: "a number",
        list: "a list",
        dict: "a mapping",
    }.items():
        if isinstance(value, kind):
            return f"; this is {words}"
    return "; put it in quotes"


def _key_path(location: tuple[int | str, ...], data: object) -> KeyPath:
    """Turn pydantic's location into a path of keys and indexes; a number may be either in YAML."""
    path: list[str | int] = []
    for step in location:
        if step == "[key]":
            break
        inside_list = isinstance(data, list | tuple)
        path.append(step if inside_list else str(step))
        if isinstance(data, dict):
            data = data.get(step)
        elif inside_list and isinstance(step, int):
            data = cast("Sequence[object]", data)[step]
    return tuple(path)

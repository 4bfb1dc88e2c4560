"""Hosts come into fleet.yml and leave it, images change; all else stays as its owner wrote it."""

import copy
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.document import read_document

Cut = tuple[int, int, str]
"""Replace the characters from here to there by this text."""


def with_host(text: str, name: str, values: Mapping[str, Any], *, locations: Sequence[str] = ()) -> str:
    """Return the text of a fleet file with one more host, served by these locations too.

    Raises ConfigurationError where the file is written in a way that this cannot extend.
    """
    wanted = copy.deepcopy(read_document(text).data)
    wanted["hosts"][name] = dict(values)
    root = _root(text)
    cuts = [_added(text, _child(root, "hosts"), f"{name}: {_flow(values)}")]
    for location in locations:
        wanted["locations"][location]["hosts"].append(name)
        cuts.append(_added(text, _child(_child(_child(root, "locations"), location), "hosts"), name))
    return _checked(text, cuts, wanted, f"add host {name}")


def without_host(text: str, name: str) -> str:
    """Return the text of a fleet file without a host, and without it in its locations' pools.

    Raises ConfigurationError where the file is written in a way that this cannot cut.
    """
    wanted = copy.deepcopy(read_document(text).data)
    del wanted["hosts"][name]
    root = _root(text)
    hosts = _child(root, "hosts")
    keys = [key.value for key, _ in hosts.value]
    cuts = [_removed(text, hosts, keys.index(name))]
    for location, values in wanted.get("locations", {}).items():
        if name in values["hosts"]:
            pool = _child(_child(_child(root, "locations"), location), "hosts")
            cuts.append(_removed(text, pool, values["hosts"].index(name)))
            values["hosts"].remove(name)
    return _checked(text, cuts, wanted, f"take host {name} out")


def with_image(text: str, location: str, image: str) -> str:
    """Return the text of a fleet file in which a location has another image.

    Raises ConfigurationError where the file is written in a way that this cannot change.
    """
    wanted = copy.deepcopy(read_document(text).data)
    wanted["locations"][location]["image"] = image
    node = _child(_child(_child(_root(text), "locations"), location), "image")
    cut = node.start_mark.index, node.end_mark.index, image
    return _checked(text, [cut], wanted, f"give {location} another image")


def with_values(text: str, values: Mapping[tuple[str, ...], str]) -> str:
    """Return the text of a fleet file in which these keys, which it has, have other texts as their values.

    Raises ConfigurationError where the file is written in a way that this cannot change.
    """
    wanted = copy.deepcopy(read_document(text).data)
    root, cuts = _root(text), []
    for (*above, key), value in values.items():
        node, part = root, wanted
        for each in above:
            node, part = _child(node, each), part[each]
        node, part[key] = _child(node, key), value
        # Text that looks like a number stays text in quotes, of the kind that its owner wrote.
        quote = text[node.start_mark.index] if text[node.start_mark.index] in "'\"" else ""
        cuts.append((node.start_mark.index, node.end_mark.index, f"{quote}{value}{quote}"))
    return _checked(text, cuts, wanted, "change " + " and ".join(".".join(path) for path in values))


def with_control(text: str, host: str) -> str:
    """Return the text of a fleet file in which a host is the control host, and none stands by for it.

    Raises ConfigurationError where the file is written in a way that this cannot change.
    """
    wanted = copy.deepcopy(read_document(text).data)
    wanted["control"]["host"] = host
    node = _child(_child(_root(text), "control"), "host")
    what = f"make {host} the control host"
    text = _checked(text, [(node.start_mark.index, node.end_mark.index, host)], wanted, what)
    for key in ("standby", "replication"):
        if key in wanted["control"]:
            control = _child(_root(text), "control")
            number = [name.value for name, _ in control.value].index(key)
            del wanted["control"][key]
            text = _checked(text, [_removed(text, control, number)], wanted, what)
    return text


def _root(text: str) -> Node:
    root: Node = YAML(typ="safe", pure=True).compose(text)
    return root


def _child(node: Node, key: str) -> Node:
    found: Node = next(value for name, value in node.value if name.value == key)
    return found


def _items(node: Node) -> list[tuple[int, int]]:
    """Return where each item begins and ends, its key included."""
    pairs = node.value if isinstance(node, MappingNode) else [(item, item) for item in node.value]
    return [(key.start_mark.index, _end(value, after=key.end_mark.index)) for key, value in pairs]


def _end(node: Node, *, after: int) -> int:
    """Return where a value's own text ends: a block's mark stands behind the comments that follow it.

    An *alias* carries the marks of its anchor, far above; then `after`, the end of the key, is what is known.
    """
    if node.start_mark.index < after and node.end_mark.index < after:
        return after
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        return _items(node)[-1][1]
    return int(node.end_mark.index)


def _added(text: str, node: Any, item: str) -> Cut:
    _, last = _items(node)[-1]
    if node.flow_style:
        return last, last, f", {item}"
    at = _line_end(text, last)
    column = node.value[-1][0].start_mark.column if isinstance(node, MappingNode) else _dash(text, node)
    mark = "" if isinstance(node, MappingNode) else "- "
    newline = "" if text[:at].endswith("\n") else "\n"
    return at, at, f"{newline}{' ' * column}{mark}{item}\n"


def _removed(text: str, node: Any, number: int) -> Cut:
    spans = _items(node)
    first, last = spans[number]
    if node.flow_style:
        if number + 1 < len(spans):
            return first, spans[number + 1][0], ""
        return (spans[number - 1][1] if number else first), last, ""
    return text.rfind("\n", 0, first) + 1, _line_end(text, last), ""


def _line_end(text: str, index: int) -> int:
    """Return where the line after `index` begins."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _dash(text: str, node: Node) -> int:
    start = node.value[-1].start_mark.index
    return len(re.split(r"-\s*$", text[text.rfind("\n", 0, start) + 1 : start])[0])


def _flow(values: Mapping[str, Any]) -> str:
    yaml = YAML()
    yaml.default_flow_style = True
    yaml.width = 10_000
    stream = io.StringIO()
    yaml.dump(dict(values), stream)
    return stream.getvalue().strip()


def _checked(text: str, cuts: Sequence[Cut], wanted: Any, what: str) -> str:
    """Return the edited text; whatever surprise the file's style held, its meaning is then as wanted."""
    for start, end, put in sorted(cuts, reverse=True):
        text = text[:start] + put + text[end:]
    try:
        meant = read_document(text).data
    # Whatever says that this is no YAML any more.
    except Exception:
        meant = None
    if meant != wanted:
        raise ConfigurationError(
            f"fleet.yml is written in a way that Dagfleet cannot {what} by itself",
            fix="edit it by hand (an &anchor in a host's own lines is the usual reason), then dagfleet apply",
        )
    return text

"""A YAML file as plain values, with the line of every key and item."""

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.reader import ReaderError

from dagfleet.errors import Problem

KeyPath = tuple[str | int, ...]

_IN_WORDS = {
    "cannot start any token": "a tab or a stray sign stands here; indent with spaces, quote the text",
    "mapping values are not allowed": 'a ":" stands where none can; quote the text, or mend the indentation',
    "could not find expected ':'": 'this line has no ":" after its key; write key: value',
    "did not find expected ',' or '}'": 'a "{" is not closed, or a "," is missing before this',
    "expected ',' or '}'": 'a "{" is not closed, or a "," is missing before this',
    "expected ',' or ']'": 'a "[" is not closed, or a "," is missing before this',
    "expected <block end>": "this line is not indented like the ones around it",
    "found unexpected end of stream": "a quote is opened and never closed",
    "could not determine a constructor": "tags (!name) mean nothing here; take it out",
    "unhashable key": "a list or a mapping cannot be a key; write text before the colon",
    "found undefined alias": "this *name refers to no &name above it",
    "expected a single document": "a second document starts here; keep one, without ---",
    "but found another document": "a second document starts here; keep one, without ---",
}


class MalformedYaml(Exception):  # noqa: N818 -- says what the file is
    """The text is no YAML; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.fact)
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """Plain values of a YAML file.

    `lines` has the line of each key path, from 1; `duplicates` the keys written again, with that line.
    """

    data: Any
    lines: dict[KeyPath, int]
    duplicates: tuple[tuple[KeyPath, int], ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """Return the line of `path`, or of the nearest key above it that the file writes."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_document(text: str) -> Document:
    """Read YAML 1.2 without running any tag's code; raise MalformedYaml when that is impossible."""
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # reported by us, together with everything else
    try:
        node = yaml.compose(text)
        data = None if node is None else yaml.constructor.construct_document(node)
    except (YAMLError, ValueError, RecursionError) as error:
        raise MalformedYaml(_problem(error, text)) from error
    if node is None:
        return Document(data=None, lines={})
    lines: dict[KeyPath, int] = {(): node.start_mark.line + 1}
    duplicates: list[tuple[KeyPath, int]] = []
    _note_lines(node, (), lines, duplicates, above=())
    return Document(data=data, lines=lines, duplicates=tuple(duplicates))


def _note_lines(
    node: Node,
    path: KeyPath,
    lines: dict[KeyPath, int],
    duplicates: list[tuple[KeyPath, int]],
    *,
    above: tuple[Node, ...],
) -> None:
    if any(node is one for one in above):
        fact = "this *name contains itself; write the values out"
        raise MalformedYaml(Problem(line=lines[path], key=dotted(path), fact=fact))
    if isinstance(node, MappingNode):
        below = [((*path, str(key.value)), key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, SequenceNode):
        below = [((*path, index), item.start_mark.line + 1, item) for index, item in enumerate(node.value)]
    else:
        return
    for here, line, value in below:
        if here in lines:
            duplicates.append((here, line))
        else:
            lines[here] = line
            _note_lines(value, here, lines, duplicates, above=(*above, node))


def dotted(path: KeyPath) -> str:
    """Return `locations.ml.hosts` for any item of that list: its line says which one."""
    return ".".join(step for step in path if isinstance(step, str))


def _problem(error: Exception, text: str) -> Problem:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.problem, error.context)))
        fact = next((words for phrase, words in _IN_WORDS.items() if phrase in said), None)
        return Problem(
            line=mark.line + 1 if mark else None,
            key=f"column {mark.column + 1}" if mark else "",
            fact=f"not valid YAML: {fact or error.problem or error.context}",
        )
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Problem(line=line, key="", fact="a control character stands in this line; take it out")
    return Problem(line=None, key="", fact=f"not valid YAML: {error}")

"""Whatever stands where in a file, the answer is a sentence of ours: no crash, no library's phrasing."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy

import pytest
from dagfleet.errors import FleetFileError, Problem
from dagfleet.fleet import parse_fleet
from ruamel.yaml import YAML

from tests.unit.fleet.texts import fleet_text

ODD_VALUES: tuple[object, ...] = (None, 1.5, "", [None], {"7": [{}]})
FOREIGN = re.compile(
    r"Input should|Value error|Field required|Extra inputs|validation|dict|string|\bint\b|None|null"
)


def paths(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*above, step)
        yield from paths(below, (*above, step))


def problems(data: object) -> tuple[Problem, ...]:
    try:
        parse_fleet(json.dumps(data, indent=1), name="fleet.yml")
    except FleetFileError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
def test_an_odd_value_anywhere_is_answered_in_our_words(odd: object) -> None:
    correct = YAML(typ="safe", pure=True).load(fleet_text())
    for path in paths(correct):
        data = part = deepcopy(correct)
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = odd
        for problem in problems(data):
            assert problem.line
            assert problem.fact
            assert not FOREIGN.search(problem.fact), f"{path}: {problem.fact}"

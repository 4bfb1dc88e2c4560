"""YAML that cannot be read, or does not say what its writer thinks."""

import pytest
from dagfleet.errors import FleetFileError
from dagfleet.fleet import parse_fleet

from tests.unit.fleet.texts import fleet_text, problems_with


@pytest.mark.parametrize(
    ("text", "line", "where", "words"),
    [
        ("version: 1\n\tname: x\n", 2, "column 1", "indent with spaces"),
        ("name: a: b\n", 1, "column 8", "quote the text"),
        ("a: [1, 2\nb: 3\n", 2, "column 2", 'a "[" is not closed'),
        ("a: {b: 1\nc: 2\n", 2, "column 2", 'a "{" is not closed'),
        ('a: "x\n', 2, "column 1", "never closed"),
        ("a:\n  b: 1\n c: 2\n", 3, "column 2", "not indented"),
        ("a: *b\n", 1, "column 4", "refers to no &name"),
        ("a: &a [*a]\n", 1, "a", "contains itself"),
        ("a: 1\n---\nb: 1\n", 2, "column 1", "second document"),
        ("a: !!python/object:os.system x\n", 1, "column 4", "tags"),
        ("a: 1\nb: \x01\n", 2, "", "control character"),
        ("- a\n", 1, "", "not a mapping"),
        ("", None, "", "empty"),
    ],
)
def test_malformed_yaml_is_told_with_its_place(text: str, line: int | None, where: str, words: str) -> None:
    with pytest.raises(FleetFileError) as raised:
        parse_fleet(text, name="fleet.yml")
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (line, where)
    assert words in problem.fact


def test_a_key_written_twice_is_told_once_with_both_lines() -> None:
    hosts = "hosts:\n  alpha: {address: 10.0.1.1}\n  alpha: {address: 10.0.1.9}"
    told = problems_with(hosts=hosts, locations=None)
    assert told == {"hosts.alpha": "written twice, first in line 6; keep one"}


def test_anchors_share_values_between_hosts() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1, ssh: &ssh {user: ops}}, beta: {address: 10.0.1.2, ssh: *ssh}}"
    fleet = parse_fleet(fleet_text(hosts=hosts, locations=None), name="fleet.yml")
    assert fleet.hosts["beta"].ssh.user == "ops"


def test_a_version_without_quotes_is_asked_for_in_quotes() -> None:
    assert problems_with(dagster="dagster: {version: 1.13}") == {
        "dagster.version": 'must be text, such as "1.13.27"; this is a number'
    }

"""Secrets in fleet.yml: declared, of one source, and only where they may stand."""

import pytest
from dagfleet.fleet import Secret

from tests.unit.fleet.texts import fleet_with, location, problems_with

USERS = "web_users: {generated: {users: [demo]}}"


def test_a_reference_names_a_declared_secret() -> None:
    told = problems_with(locations=location(env="{A: secret://warehose, B: secret://nothing}"))
    assert told == {
        "locations.etl.env.A": 'no secret is named "warehose"; did you mean "warehouse"?',
        "locations.etl.env.B": 'no secret is named "nothing"; declare it under secrets',
    }


def test_postgres_password_needs_no_declaration() -> None:
    assert problems_with(locations=location(env="{A: secret://postgres_password}")) == {}


def test_a_secret_is_a_whole_value() -> None:
    told = problems_with(locations=location(env='{URL: "postgresql://w:secret://warehouse@db"}'))
    assert told == {
        "locations.etl.env.URL": "a secret is the whole value: secret://NAME, with nothing around it"
    }


def test_a_secret_stands_only_where_it_stays_one() -> None:
    told = problems_with(locations=location(module="secret://warehouse"))
    assert "cannot stand here" in told["locations.etl.module"]


@pytest.mark.parametrize(
    ("source", "fact"),
    [
        ("{command: op read x, env: X}", "has 2 sources: command and env; keep one"),
        ("{}", "has no source; give it one of command, env, file, generated"),
    ],
)
def test_a_secret_has_one_source(source: str, fact: str) -> None:
    assert problems_with(secrets=f"secrets: {{{USERS}, w: {source}}}") == {"secrets.w": fact}


def test_a_misspelt_source_is_told_once() -> None:
    assert problems_with(secrets=f"secrets: {{{USERS}, w: {{comand: op}}}}") == {
        "secrets.w.comand": 'unknown key; did you mean "command"?'
    }


def test_generated_false_generates_nothing() -> None:
    told = problems_with(secrets=f"secrets: {{{USERS}, w: {{generated: false}}}}")
    assert told == {"secrets.w.generated": "false generates nothing; write true, or name another source"}


def test_random_text_is_no_list_of_users() -> None:
    told = problems_with(secrets="secrets: {web_users: {generated: true}}")
    assert told == {
        "control.web.users": '"web_users" is random text, not users; write generated: {users: [NAME]} for it'
    }


def test_a_command_is_split_into_words_as_a_shell_would() -> None:
    fleet = fleet_with(secrets=f"secrets: {{{USERS}, w: {{command: \"op read 'a b'\"}}}}")
    assert fleet.secrets["w"] == Secret(command=["op", "read", "a b"])
    told = problems_with(secrets=f'secrets: {{{USERS}, w: {{command: "op \'a"}}}}')
    assert told == {"secrets.w.command": "a quote is not closed in this command"}

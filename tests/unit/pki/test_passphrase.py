"""The passphrase comes from the fleet's secret, else the environment, else the terminal."""

import pytest
from dagfleet.pki import PkiError, resolve_passphrase
from dagfleet.pki.errors import MissingPassphraseError
from dagfleet.pki.passphrase import Prompt

GIVEN = {"DAGFLEET_CA_PASSPHRASE": "from the environment"}


def never(_question: str) -> str:
    raise AssertionError("asked although it was given")


def test_the_fleets_secret_comes_first() -> None:
    assert resolve_passphrase("secret", environment=GIVEN, prompt=never) == "secret"


def test_the_environment_comes_second() -> None:
    assert resolve_passphrase(None, environment=GIVEN, prompt=never) == "from the environment"


def test_a_terminal_is_asked_last() -> None:
    assert resolve_passphrase(None, environment={}, prompt=lambda _question: "typed") == "typed"


def test_a_new_passphrase_is_typed_twice() -> None:
    answers = iter(["typed", "tpyed"])
    with pytest.raises(PkiError, match="differ"):
        resolve_passphrase(None, environment={}, prompt=lambda _question: next(answers), confirm=True)


@pytest.mark.parametrize("prompt", [None, lambda _question: ""])
def test_without_any_the_error_says_what_to_do(prompt: Prompt | None) -> None:
    with pytest.raises(MissingPassphraseError) as raised:
        resolve_passphrase(None, environment={}, prompt=prompt)
    assert raised.value.fix

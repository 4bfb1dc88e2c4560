"""Where the passphrase of the authorities' keys comes from. It is never an argument of a command."""

import getpass
import sys
from collections.abc import Callable, Mapping

from dagfleet.pki.errors import MissingPassphraseError, PkiError

VARIABLE = "DAGFLEET_CA_PASSPHRASE"
Prompt = Callable[[str], str]


def terminal_prompt() -> Prompt | None:
    """Return a prompt that does not echo, or None without a terminal."""
    return getpass.getpass if sys.stdin.isatty() else None


def resolve_passphrase(
    secret: str | None, *, environment: Mapping[str, str], prompt: Prompt | None, confirm: bool = False
) -> str:
    """Return the passphrase: `secret` (fleet.yml's pki.passphrase), else the environment's, else asked for.

    `confirm` asks twice, for a passphrase that is being chosen. Raises `MissingPassphraseError` when none of
    the three is there.
    """
    if secret:
        return secret
    if given := environment.get(VARIABLE):
        return given
    if prompt is None:
        raise MissingPassphraseError(
            "the keys of the fleet's authorities need a passphrase, and there is no terminal to ask on",
            fix=f"set pki.passphrase in fleet.yml to a secret:// name, or {VARIABLE} in the environment",
        )
    answer = prompt("Passphrase of the fleet's certificate authorities: ")
    if not answer:
        raise MissingPassphraseError("the passphrase was left empty", fix="choose one")
    if confirm and prompt("The same again: ") != answer:
        raise PkiError("the two passphrases differ", fix="try again")
    return answer

"""From a secret's name in fleet.yml to its value."""

import json
import os
from collections.abc import Callable, Mapping

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.loading import FleetFile
from dagfleet.fleet.model import Generated, Secret
from dagfleet.fleet.secret_rules import implicit_secrets
from dagfleet.fleet.values import SECRET_SCHEME
from dagfleet.secrets.logins import logins
from dagfleet.secrets.masking import masker
from dagfleet.secrets.sources import from_command, from_environment, from_file, generated

# How the CLI hands resolved secrets to its own ansible-playbook: in the environment, never in an argument.
OVERRIDES = "DAGFLEET_SECRETS"


class Secrets:
    """The secrets of one fleet; each is resolved once, when it is first asked for."""

    def __init__(self, fleet_file: FleetFile, *, environ: Mapping[str, str] = os.environ) -> None:
        self._file = fleet_file
        self._environ = environ
        self._declared: Mapping[str, Secret] = {
            **{name: Secret(generated=Generated()) for name in implicit_secrets(fleet_file.fleet)},
            **fleet_file.fleet.secrets,
        }
        self._values: dict[str, str] = _overrides(environ)

    def resolve(self, name: str) -> str:
        """Return a secret's value; raise ConfigurationError naming it, what was tried and the next step."""
        if name not in self._values:
            if name not in self._declared:
                raise ConfigurationError(
                    f'secret "{name}" is not declared in {self._file.path}',
                    fix=f"declare it: secrets: {name}: ...",
                )
            self._values[name] = self._from_source(name, self._declared[name])
        return self._values[name]

    def resolve_all(self) -> dict[str, str]:
        """Return every secret that hosts need, by name: all but the authorities' passphrase."""
        passphrase = (self._file.fleet.pki.passphrase or "").removeprefix(SECRET_SCHEME)
        return {name: self.resolve(name) for name in self._declared if name != passphrase}

    def logins(self, name: str) -> str:
        """Return the users that a secret holds as lines `user:hash`, the same at every apply."""
        return logins(self.resolve(name), salt=self.resolve("web_users_salt"), secret=name)

    def masker(self) -> Callable[[str], str]:
        """Return a function that hides, in any text, every secret resolved by the time it is called."""

        known, hide = 0, masker(())

        def hide_all(text: str) -> str:
            nonlocal known, hide
            if len(self._values) != known:
                known, hide = len(self._values), masker(self._values.values())
            return hide(text)

        return hide_all

    def _from_source(self, name: str, secret: Secret) -> str:
        if secret.command is not None:
            return from_command(name, secret.command, directory=self._file.directory)
        if secret.env is not None:
            return from_environment(name, secret.env, self._environ)
        if secret.file is not None:
            return from_file(name, secret.file, directory=self._file.directory)
        return generated(name, secret.generated or Generated(), directory=self._file.state / "secrets")


def _overrides(environ: Mapping[str, str]) -> dict[str, str]:
    text = environ.get(OVERRIDES)
    if not text:
        return {}
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ConfigurationError(f"{OVERRIDES} is not a JSON object of texts", fix=f"unset {OVERRIDES}")
    return values

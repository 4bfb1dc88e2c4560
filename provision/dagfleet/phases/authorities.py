"""The operator's certificate authorities while an apply needs them."""

import os
from typing import TYPE_CHECKING

from dagfleet.fleet.values import secret_name
from dagfleet.pki import Authorities, resolve_passphrase, terminal_prompt
from dagfleet.pki.authorities import NAMES
from dagfleet.pki.errors import MissingStoreError
from dagfleet.secrets import Secrets

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


class Store:
    """Created and unlocked only when something is to be signed, so that nobody is asked in vain."""

    def __init__(self, fleet_file: "FleetFile") -> None:
        self._fleet_file = fleet_file
        self._directory = fleet_file.state / "pki"
        self._unlocked: Authorities | None = None
        self.created = False

    def keys(self) -> dict[str, bytes]:
        """Return each authority's key identifier; nothing before they exist."""
        try:
            authorities = self._unlocked or Authorities.load(self._directory)
        except MissingStoreError:
            return {}
        return {name: authorities.key_identifier(name) for name in NAMES}

    def unlocked(self) -> Authorities:
        """Return the authorities ready to sign, made now if there are none; raises PkiError."""
        if self._unlocked is None:
            try:
                loaded = Authorities.load(self._directory)
            except MissingStoreError:
                pki, name = self._fleet_file.fleet.pki, self._fleet_file.fleet.name
                passphrase = self._passphrase(confirm=True)
                self._unlocked = Authorities.create(self._directory, name, passphrase, pki.ca_years)
                self.created = True
            else:
                self._unlocked = loaded.unlock(self._passphrase(confirm=False))
        return self._unlocked

    def _passphrase(self, *, confirm: bool) -> str:
        reference = self._fleet_file.fleet.pki.passphrase
        secret = Secrets(self._fleet_file).resolve(secret_name(reference) or "") if reference else None
        return resolve_passphrase(secret, environment=os.environ, prompt=terminal_prompt(), confirm=confirm)

"""The operator's certificate authorities while an apply needs them."""

import os
from typing import TYPE_CHECKING

from dagfleet.fleet.values import secret_name
from dagfleet.pki import Authorities, resolve_passphrase, terminal_prompt
from dagfleet.pki.authorities import NAMES
from dagfleet.pki.errors import MissingStoreError
from dagfleet.pki.generations import REVOCATION_LIST
from dagfleet.pki.rotation import Rotation
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
        self.passphrase = ""
        """The one that opened the store; empty until `unlocked`."""

    def keys(self) -> dict[str, frozenset[bytes]]:
        """Return the identifiers of each authority's trusted keys; nothing before there are any."""
        authorities = self._loaded()
        return {name: authorities.key_identifiers(name) for name in NAMES} if authorities else {}

    def revoked(self) -> dict[str, frozenset[int]]:
        """Return the serials that each authority has revoked."""
        authorities = self._loaded()
        return {name: authorities.revoked(name) for name in NAMES} if authorities else {}

    def lacks_lists(self) -> bool:
        """Tell whether there are authorities without a revocation list, as an older version made them."""
        return self._loaded() is not None and not all(
            (self._directory / name / REVOCATION_LIST).is_file() for name in NAMES
        )

    def rotations(self) -> list[Rotation]:
        """Return the rotations that are under way."""
        authorities = self._loaded()
        found = [authorities.rotation(name) for name in NAMES] if authorities else []
        return [rotation for rotation in found if rotation]

    def unlocked(self) -> Authorities:
        """Return the authorities ready to sign, made now if there are none; raises PkiError."""
        if self._unlocked is None:
            try:
                loaded = Authorities.load(self._directory)
            except MissingStoreError:
                pki, name = self._fleet_file.fleet.pki, self._fleet_file.fleet.name
                self.passphrase = self._ask(confirm=True)
                self._unlocked = Authorities.create(self._directory, name, self.passphrase, pki.ca_years)
                self.created = True
            else:
                self.passphrase = self._ask(confirm=False)
                self._unlocked = loaded.unlock(self.passphrase)
        return self._unlocked

    def _loaded(self) -> Authorities | None:
        try:
            return self._unlocked or Authorities.load(self._directory)
        except MissingStoreError:
            return None

    def _ask(self, *, confirm: bool) -> str:
        reference = self._fleet_file.fleet.pki.passphrase
        secret = Secrets(self._fleet_file).resolve(secret_name(reference) or "") if reference else None
        return resolve_passphrase(secret, environment=os.environ, prompt=terminal_prompt(), confirm=confirm)

"""Every leaf that an authority has signed: what is not written down cannot be revoked."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dagfleet.pki.files import PRIVATE_FILE, sync_directory


@dataclass(frozen=True, kw_only=True)
class Issued:
    """One signed leaf. `host` is None for the operator's own, `name` is the certificate's."""

    serial: int
    fingerprint: str
    generation: int
    name: str
    host: str | None
    identity: str
    not_after: datetime
    revoked: datetime | None = None

    @property
    def label(self) -> str:
        """Return `beta/mesh-client`, or `operator/reader`."""
        return f"{self.host or 'operator'}/{self.name}"


class Register:
    """An append-only file, a JSON object a line: a leaf that was signed, or a serial that was revoked.

    A line that a crash cut short counts as never written: the leaf in it was handed to nobody.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> tuple[Issued, ...]:
        """Return every leaf in the order of signing, with when it was revoked."""
        found: dict[int, Issued] = {}
        for line in self._lines():
            serial = int(line["serial"], 16)
            if "revoked" in line:
                if serial in found:
                    found[serial] = replace(found[serial], revoked=datetime.fromisoformat(line["revoked"]))
            elif serial not in found:
                found[serial] = _issued(serial, line)
        return tuple(found.values())

    def add(self, leaf: Issued) -> None:
        """Write a leaf down, durably, before anybody holds it."""
        self._append(
            {
                "serial": f"{leaf.serial:x}",
                "fingerprint": leaf.fingerprint,
                "generation": leaf.generation,
                "name": leaf.name,
                "host": leaf.host,
                "identity": leaf.identity,
                "not_after": leaf.not_after.isoformat(),
            }
        )

    def revoke(self, serials: Iterable[int], when: datetime) -> None:
        """Mark serials as revoked; again is no change."""
        live = {leaf.serial for leaf in self.entries() if leaf.revoked is None}
        for serial in serials:
            if serial in live:
                self._append({"serial": f"{serial:x}", "revoked": when.isoformat()})

    def _lines(self) -> Iterable[dict[str, Any]]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def _append(self, line: dict[str, Any]) -> None:
        created = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            os.write(descriptor, b"\n" * torn + json.dumps(line).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if created:
            sync_directory(self._path.parent)


def _issued(serial: int, line: dict[str, Any]) -> Issued:
    return Issued(
        serial=serial,
        fingerprint=line["fingerprint"],
        generation=line["generation"],
        name=line["name"],
        host=line["host"],
        identity=line["identity"],
        not_after=datetime.fromisoformat(line["not_after"]),
    )

"""What this machine notes about a failover until it is done, so that a killed one goes on where it was."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dagfleet.errors import ConfigurationError
from dagfleet.pki.files import make_private_directory, write_atomically

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


@dataclass(frozen=True, kw_only=True)
class Journal:
    """From which host to which; the new one takes over from `backup`, or from its copy of PostgreSQL."""

    old: str
    new: str
    backup: str = ""
    streams: bool = False
    begun: bool = False
    """Whether this is written down: the first host has been touched."""
    moved: bool = False
    """Whether the new control host has its database: from then on it has what nobody else has."""

    @classmethod
    def read(cls, fleet_file: "FleetFile") -> Self | None:
        """Return the failover that is under way, or None."""
        path = _path(fleet_file)
        return cls(**json.loads(path.read_text())) if path.is_file() else None

    def write(self, fleet_file: "FleetFile") -> None:
        """Note it."""
        make_private_directory(fleet_file.state)
        write_atomically(_path(fleet_file), json.dumps(asdict(self), indent=2).encode())

    def note_moved(self, fleet_file: "FleetFile") -> None:
        """Note that the new control host has its database."""
        replace(self, moved=True).write(fleet_file)

    @staticmethod
    def remove(fleet_file: "FleetFile") -> None:
        """Note that it is done."""
        _path(fleet_file).unlink(missing_ok=True)


def refuse_half_way(fleet_file: "FleetFile") -> None:
    """Raise ConfigurationError for any other command while a failover is half-way."""
    if under_way := Journal.read(fleet_file):
        raise ConfigurationError(
            f"a failover from {under_way.old} to {under_way.new} is half-way",
            fix="the same command finishes it: dagfleet failover",
        )


def _path(fleet_file: "FleetFile") -> Path:
    return fleet_file.state / "failover.json"

"""Where a host is reached over SSH, and whose keys are trusted there."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


@dataclass(frozen=True, kw_only=True)
class Target:
    """One host's SSH address. `known_hosts` holds the host keys that the operator has accepted."""

    name: str
    address: str
    user: str
    port: int
    key: Path | None
    known_hosts: Path

    @property
    def endpoint(self) -> str:
        """Return `address:port`, as errors name it."""
        return f"{self.address}:{self.port}"


def target(fleet_file: "FleetFile", name: str) -> Target:
    """Return the SSH target of the host `name`."""
    host = fleet_file.fleet.hosts[name]
    return Target(
        name=name,
        address=str(host.address),
        user=host.ssh.user,
        port=host.ssh.port,
        key=(fleet_file.directory / Path(host.ssh.key).expanduser()) if host.ssh.key else None,
        known_hosts=fleet_file.state / "known_hosts",
    )

"""Phase: leave clean machines, reached by an inventory of nothing but addresses."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagfleet.derive.groups import groups
from dagfleet.phases.playing import play
from dagfleet.phases.work import Work
from dagfleet.pki.files import make_private_directory, write_atomically
from dagfleet.probe.target import Target, target

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Runs playbooks/remove.yml on hosts that leave; `inventory` tells where they are."""

    inventory: Path
    hosts: tuple[str, ...]
    data: bool = False
    title: str = "remove"

    def run(self, work: Work) -> None:
        """Remove all that is Dagfleet's; without `data` a database's files stay."""
        work.touched = True
        variables: dict[str, object] = {"base_remove_data": self.data, "postgres_remove_data": self.data}
        play(
            work,
            self.title,
            "remove",
            hosts=self.hosts,
            variables=variables,
            inventory=self.inventory,
        )


def farewell(fleet_file: "FleetFile", hosts: Sequence[str]) -> Path:
    """Write down how hosts that leave are reached, as an Ansible inventory, and return where.

    It outlives their lines in fleet.yml, so that a removal that was stopped can go on.
    """
    folder = make_private_directory(fleet_file.state / "leaving")
    path = folder / f"{hosts[0] if len(hosts) == 1 else 'all'}.yml"
    write_atomically(path, json.dumps(_inventory(fleet_file, hosts), indent=2).encode())
    return path


def farewell_of(fleet_file: "FleetFile", host: str) -> Path | None:
    """Return the inventory of a host whose removal was stopped on its way, or None."""
    path = fleet_file.state / "leaving" / f"{host}.yml"
    return path if path.is_file() else None


def reached_by(fleet_file: "FleetFile", inventory: Path, host: str) -> Target:
    """Return how a host was reached of which only the inventory of its removal is left."""
    known = json.loads(inventory.read_text())["all"]["hosts"][host]
    key = known.get("ansible_ssh_private_key_file")
    return Target(
        name=host,
        address=known["ansible_host"],
        user=known["ansible_user"],
        port=known["ansible_port"],
        key=Path(key) if key else None,
        known_hosts=fleet_file.state / "known_hosts",
    )


def _inventory(fleet_file: "FleetFile", hosts: Sequence[str]) -> dict[str, Any]:
    return {
        "all": {
            "hosts": {host: _variables(fleet_file, host) for host in hosts},
            "children": {
                group: {"hosts": {host: None for host in members if host in hosts}}
                for group, members in groups(fleet_file.fleet).items()
            },
        }
    }


def _variables(fleet_file: "FleetFile", host: str) -> dict[str, Any]:
    fleet, reached = fleet_file.fleet, target(fleet_file, host)
    # Quoted twice: Ansible splits the arguments, and ssh a file's name at its blanks.
    known_hosts = shlex.quote(f'UserKnownHostsFile="{reached.known_hosts}"')
    images = [location.image for location in fleet.locations_on(host).values() if location.image]
    return {
        "ansible_host": reached.address,
        "ansible_port": reached.port,
        "ansible_user": reached.user,
        "ansible_become": True,
        "ansible_ssh_common_args": f"-o {known_hosts} -o StrictHostKeyChecking=yes",
        **({"ansible_ssh_private_key_file": str(reached.key)} if reached.key else {}),
        "docker_remove_images": images,
        "base_holds_lock": host == fleet.control.host,
    }

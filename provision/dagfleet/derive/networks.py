"""Docker networks, and the names by which containers reach what is not on them."""

import ipaddress
from typing import Any

from dagfleet.fleet.model import Fleet

RUN_NETWORK = "dagfleet"
CONTROL_NETWORK = "dagfleet-control"
DATABASE_NAME = "db.mesh"
DATABASE_PORT = 6432
REPLICATION_PORT = 6433
GATEWAY_NAME = "gateway.mesh"


def gateway(subnet: str) -> str:
    """Return the first address of a subnet: the host's own on that Docker network."""
    return str(next(ipaddress.IPv4Network(subnet).hosts()))


def docker_networks(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    """Return the Docker networks of a host; containers on the run network cannot talk to each other."""
    if not fleet.hosts[host_name].runs_docker:
        return []
    networks = [_network(RUN_NETWORK, fleet.docker.run_subnet, talks=False)]
    if host_name == fleet.control.host:
        networks.append(_network(CONTROL_NETWORK, fleet.docker.control_subnet, talks=True))
    return networks


def run_extra_hosts(fleet: Fleet) -> dict[str, str]:
    """Return the names that code servers and runs in containers need besides DNS."""
    return {DATABASE_NAME: gateway(fleet.docker.run_subnet)} if has_database(fleet) else {}


def control_extra_hosts(fleet: Fleet) -> dict[str, str]:
    """Return the names that the control plane's containers need besides DNS."""
    address = gateway(fleet.docker.control_subnet)
    return {**({DATABASE_NAME: address} if has_database(fleet) else {}), GATEWAY_NAME: address}


def has_database(fleet: Fleet) -> bool:
    """Tell whether PostgreSQL is the fleet's own, reached through the mesh."""
    return fleet.postgres.mode == "managed"


def _network(name: str, subnet: str, *, talks: bool) -> dict[str, Any]:
    return {"name": name, "subnet": subnet, "gateway": gateway(subnet), "icc": talks}

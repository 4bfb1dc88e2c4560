"""The registry on the control host: its name in the names of images, who pulls, what roles are told."""

from typing import Any

from dagfleet.derive.secret_template import logins_template
from dagfleet.fleet.model import Fleet
from dagfleet.fleet.rules import REGISTRY_PORT

REGISTRY_UNIT = "dagfleet-registry.service"


def registry_hostname(fleet: Fleet) -> str:
    """Return the name that hosts and CI know the registry by; Docker takes no capital letters in it."""
    given = fleet.registry.hostname if fleet.registry else None
    return (given or fleet.control.web.hostname).lower()


def registry_name(fleet: Fleet) -> str | None:
    """Return `dagster.example.com:5000`, which names of its images begin with; None without a registry."""
    return f"{registry_hostname(fleet)}:{fleet.registry.port}" if fleet.registry else None


def in_registry(fleet: Fleet, image: str) -> bool:
    """Tell whether an image is the fleet's own registry's."""
    name = registry_name(fleet)
    return name is not None and image.startswith(f"{name}/")


def pulled(fleet: Fleet, image: str) -> bool:
    """Tell whether hosts pull an image: those of the fleet's own registry always, whatever others do."""
    return fleet.docker.images == "pull" or in_registry(fleet, image)


def hosts_pull(fleet: Fleet) -> bool:
    """Tell whether hosts may pull what they lack; it does not change with a location's image."""
    return fleet.docker.images == "pull" or fleet.registry is not None


def registry_hosts(fleet: Fleet) -> list[str]:
    """Return the hosts that may pull: those with Docker, each by its certificate."""
    return [name for name, host in fleet.hosts.items() if host.runs_docker] if fleet.registry else []


def registry_vars(fleet: Fleet) -> dict[str, Any]:
    """Return the variables of role `registry`, for the control host."""
    return {"registry_port": REGISTRY_PORT if fleet.registry else None}


def registry_mesh_vars(fleet: Fleet) -> dict[str, Any]:
    """Return what the control host's mesh lets in to the registry, and whom."""
    if fleet.registry is None:
        return {"mesh_registry": None, "mesh_registry_users": ""}
    return {
        "mesh_registry": {
            "port": fleet.registry.port,
            "hostname": registry_hostname(fleet),
            "hosts": registry_hosts(fleet),
            "upstream": f"127.0.0.1:{REGISTRY_PORT}",
        },
        "mesh_registry_users": logins_template(fleet.registry.users),
    }


def registry_doors(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    """Return the registry's port as the control host's firewall opens it; who may pull always may come."""
    if fleet.registry is None or host_name != fleet.control.host:
        return []
    others = list(fleet.firewall.registry)
    own = [fleet.hosts[name].address for name in registry_hosts(fleet)] if others else []
    return [{"port": fleet.registry.port, "protocol": "tcp", "sources": [*others, *own]}]


def registry_entries(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    """Return the line of /etc/hosts by which a host with Docker finds the registry."""
    if host_name not in registry_hosts(fleet):
        return []
    address = fleet.hosts[fleet.control.host].address
    return [{"address": address, "names": [registry_hostname(fleet)]}]

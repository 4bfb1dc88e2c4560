"""Which host has to reach what: exactly the ports that the fleet's flows will use."""

from dataclasses import dataclass

from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.derive.registry import in_registry
from dagfleet.fleet.model import Fleet

HTTPS = 443


@dataclass(frozen=True)
class Way:
    """From a host to an address; `to` is a host's name, or None for somebody outside of the fleet."""

    host: str
    to: str | None
    address: str
    port: int

    @property
    def title(self) -> str:
        """Return `beta:4443`, or the outsider's `registry.example.com:443`."""
        return f"{self.to or self.address}:{self.port}"


def ways(fleet: Fleet) -> tuple[Way, ...]:
    """Return every way, those of the control host first."""
    found: dict[Way, None] = {}
    for control in fleet.control_hosts:
        for name, host in fleet.hosts.items():
            if name != control:
                if host.runs_docker:
                    port = host.ssh.port if over_ssh(fleet) else host.docker_port
                    found[Way(control, name, host.address, port)] = None
                found[Way(control, name, host.address, host.mesh.port)] = None
    for name in fleet.hosts:
        for control in fleet.control_hosts:
            if name != control:
                alpha = fleet.hosts[control]
                found[Way(name, control, alpha.address, alpha.mesh.port)] = None
        found |= {Way(name, None, address, port): None for address, port in _registries(fleet, name)}
    return tuple(found)


def _registries(fleet: Fleet, name: str) -> list[tuple[str, int]]:
    """Return where the host pulls from; an image without a registry's name is dockerd's own business.

    The fleet's own registry opens its port with the apply that brings it.
    """
    if fleet.docker.images != "pull":
        return []
    images = [location.image for location in fleet.locations_on(name).values()]
    if name in fleet.control_hosts:
        images.append(fleet.control.image)
    found: dict[tuple[str, int], None] = {}
    for image in images:
        if image and in_registry(fleet, image):
            continue
        first, slash, _ = (image or "").partition("/")
        if slash and ("." in first or ":" in first):
            address, _, port = first.partition(":")
            found[address, int(port or HTTPS)] = None
    return list(found)

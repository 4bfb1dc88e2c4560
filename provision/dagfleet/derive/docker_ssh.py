"""docker.access: ssh. The launcher logs in as an account that may do nothing but talk to Docker."""

from pathlib import Path
from typing import Any

from dagfleet.fleet.model import Fleet

ACCOUNT = "dagfleet-docker"
LAUNCHER_FILES = "/etc/dagfleet/docker-ssh"


def over_ssh(fleet: Fleet) -> bool:
    """Tell whether Docker is reached by SSH, so that neither ports nor certificates are needed for it."""
    return fleet.docker.access == "ssh"


def docker_ssh_vars(fleet: Fleet, host_name: str) -> dict[str, Any]:
    """Return what role `docker` does for the launcher on a host: let it in, make its key."""
    host = fleet.hosts[host_name]
    return {
        "docker_ssh": {
            "launcher": fleet.control.host,
            "sources": launcher_sources(fleet, host_name),
            "address": host.address,
            "port": host.ssh.port,
        }
        if over_ssh(fleet) and host.runs_docker
        else None,
        "docker_ssh_holds_key": over_ssh(fleet) and host_name == fleet.control.host,
    }


def launcher_sources(fleet: Fleet, host_name: str) -> list[str]:
    """Return the addresses from which the launcher comes to a host."""
    control = fleet.control.host
    # Its own host it reaches from its container, without leaving the machine.
    own = [fleet.docker.control_subnet] if host_name == control else []
    return [fleet.hosts[control].address, *own]


def launcher_key(state: Path) -> Path:
    """Return where the operator's machine keeps the launcher's public key, below a fleet's `.dagfleet`."""
    return state / "pki" / "ssh" / "launcher.pub"


def launcher_url(fleet: Fleet, host_name: str) -> str:
    """Return a host's Docker as the launcher's `docker_url`."""
    host = fleet.hosts[host_name]
    return f"ssh://{ACCOUNT}@{host.address}:{host.ssh.port}"

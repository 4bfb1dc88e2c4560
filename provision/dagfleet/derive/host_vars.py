"""All that Ansible needs to know about one host."""

import hashlib
import json
from typing import Any

from dagfleet import __version__
from dagfleet.derive.artifacts import Artifacts
from dagfleet.derive.docker_ssh import docker_ssh_vars, launcher_sources, over_ssh
from dagfleet.derive.mesh import mesh_vars
from dagfleet.derive.networks import (
    CONTROL_NETWORK,
    DATABASE_NAME,
    DATABASE_PORT,
    RUN_NETWORK,
    docker_networks,
    has_database,
)
from dagfleet.derive.ports import location_ports
from dagfleet.derive.registry import (
    registry_doors,
    registry_entries,
    registry_hosts,
    registry_name,
    registry_vars,
)
from dagfleet.derive.services import (
    backup_vars,
    code_server_vars,
    control_plane_vars,
    postgres_vars,
    process_location_vars,
)
from dagfleet.fleet.model import Fleet

CHALLENGE_PORT = 80
PKI_FILES = "/etc/dagfleet/pki"


def host_vars(fleet: Fleet, host_name: str, artifacts: Artifacts) -> dict[str, Any]:
    """Return a host's variables, without what only the operator's machine knows (paths, who applies)."""
    host = fleet.hosts[host_name]
    is_control = host_name == fleet.control.host
    variables = {
        **_base_vars(fleet, host_name),
        "docker_networks": docker_networks(fleet, host_name),
        "docker_daemon_options": {},
        "docker_tls": {"port": host.docker_port, "directory": PKI_FILES}
        if host.runs_docker and fleet.docker.access == "tls"
        else None,
        "docker_registry": registry_name(fleet) if host_name in registry_hosts(fleet) else None,
        **docker_ssh_vars(fleet, host_name),
        **mesh_vars(fleet, host_name),
        **(postgres_vars(fleet, host_name) if host_name in fleet.control_hosts else {}),
        **(backup_vars(fleet, host_name) if host_name in fleet.control_hosts else {}),
        **(registry_vars(fleet) if is_control else {}),
        **(control_plane_vars(fleet, artifacts) if is_control else {}),
        **(
            code_server_vars(fleet, host_name, artifacts)
            if host.runs_docker
            else process_location_vars(fleet, host_name, artifacts)
        ),
        "dagfleet_labels": dict(host.labels),
    }
    return {
        **variables,
        "base_record": {"release": __version__, "config_hash": _fingerprint(variables)},
        "ansible_host": host.address,
        "ansible_port": host.ssh.port,
        "ansible_user": host.ssh.user,
        "ansible_become": True,
    }


def _base_vars(fleet: Fleet, host_name: str) -> dict[str, Any]:
    host, networks = fleet.hosts[host_name], docker_networks(fleet, host_name)
    local_database = has_database(fleet) and not host.runs_docker
    return {
        "base_fleet_name": fleet.name,
        "base_host_name": host_name,
        "base_hosts_entries": ([{"address": "127.0.0.1", "names": [DATABASE_NAME]}] if local_database else [])
        + registry_entries(fleet, host_name),
        "base_fleet_addresses": _peers(fleet, host_name),
        "base_docker_client_addresses": [fleet.hosts[name].address for name in fleet.control_hosts],
        "base_operator_addresses": list(fleet.firewall.operators),
        # The launcher in the control plane's own container reaches this host's Docker without leaving it.
        "base_docker_client_subnets": [fleet.docker.control_subnet]
        if host_name == fleet.control.host
        else [],
        "base_private_subnets": [network["subnet"] for network in networks],
        "base_container_doors": _container_doors(fleet, host_name),
        "base_ssh_ports": [host.ssh.port],
        "base_ssh_sources": _ssh_sources(fleet, host_name),
        "base_web_port": fleet.control.web.port if host_name == fleet.control.host else None,
        "base_web_sources": list(fleet.firewall.web),
        "base_open_ports": [
            {"port": opened.port, "protocol": opened.protocol, "sources": list(opened.sources)}
            for opened in fleet.firewall.open
        ]
        + _challenges(fleet, host_name)
        + registry_doors(fleet, host_name),
        "base_other_ports": fleet.firewall.others,
        "base_docker_port": None if over_ssh(fleet) else host.docker_port,
        "base_mesh_port": host.mesh.port,
    }


def _ssh_sources(fleet: Fleet, host_name: str) -> list[str]:
    """Return whom the firewall lets come by SSH; nobody named means everybody."""
    chosen = list(fleet.firewall.ssh)
    launcher = chosen and over_ssh(fleet) and fleet.hosts[host_name].runs_docker
    return list(dict.fromkeys([*chosen, *(launcher_sources(fleet, host_name) if launcher else [])]))


def _peers(fleet: Fleet, host_name: str) -> list[str]:
    """Return who uses the host's mesh: the control host and its standby, and on those every host.

    No flow goes between two others, so that a host that comes or goes changes nothing on them.
    """
    peers = fleet.hosts if host_name in fleet.control_hosts else fleet.control_hosts
    return [fleet.hosts[peer].address for peer in peers]


def _challenges(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    """Return the port of ACME's challenges; who asks them does not say from where."""
    wanted = host_name == fleet.control.host and fleet.control.web.acme_port
    return [{"port": CHALLENGE_PORT, "protocol": "tcp", "sources": []}] if wanted else []


def _container_doors(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    """Return what the host's own containers find at their gateways: the database, and for the control plane
    every location.
    """
    database = [DATABASE_PORT] if has_database(fleet) else []
    doors = {RUN_NETWORK: database, CONTROL_NETWORK: [*database, *location_ports(fleet).values()]}
    return [
        {"source": network["subnet"], "address": network["gateway"], "ports": doors[network["name"]]}
        for network in docker_networks(fleet, host_name)
        if doors[network["name"]]
    ]


def _fingerprint(variables: dict[str, Any]) -> str:
    """Return a hash of what the host will be, wherever archives lie on the operator's machine."""
    text = json.dumps(_without_paths(variables), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(below) for key, below in value.items() if key != "archive"}
    if isinstance(value, list):
        return [_without_paths(below) for below in value]
    return value

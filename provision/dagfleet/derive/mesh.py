"""The mesh of each host: what its HAProxy lets in, and what it carries out."""

from dataclasses import asdict
from typing import Any

from dagfleet.derive.certificates import certificates
from dagfleet.derive.networks import gateway, has_database
from dagfleet.derive.ports import location_ports
from dagfleet.derive.registry import registry_mesh_vars
from dagfleet.derive.secret_template import logins_template, web_certificate_template
from dagfleet.fleet.model import Fleet
from dagfleet.fleet.values import secret_name

GIVEN_CERTIFICATE = "/etc/dagfleet/pki/web-given.pem"


def mesh_vars(fleet: Fleet, host_name: str) -> dict[str, Any]:
    """Return the variables of role `mesh` for a host."""
    host = fleet.hosts[host_name]
    ports = location_ports(fleet)
    return {
        "mesh_port": host.mesh.port,
        "mesh_docker_port": host.docker_port if host.runs_docker and fleet.docker.access == "mesh" else None,
        "mesh_certificates": _certificates(fleet, host_name),
        "mesh_locations": [{"name": name, "port": ports[name]} for name in fleet.locations_on(host_name)],
        **_database(fleet, host_name),
        **(_control(fleet, ports) if host_name == fleet.control.host else _NO_CONTROL),
    }


_NO_CONTROL: dict[str, Any] = {
    "mesh_grpc_egress": [],
    "mesh_grpc_egress_bind": None,
    "mesh_grpc_egress_source": None,
    "mesh_web": None,
    "mesh_web_users": "",
    "mesh_web_certificate": "",
    "mesh_registry": None,
    "mesh_registry_users": "",
}


def _control(fleet: Fleet, ports: dict[str, int]) -> dict[str, Any]:
    return {
        "mesh_grpc_egress": [
            {"name": name, "port": ports[name], "servers": [_server(fleet, host) for host in location.hosts]}
            for name, location in fleet.locations.items()
        ],
        "mesh_grpc_egress_bind": gateway(fleet.docker.control_subnet),
        "mesh_grpc_egress_source": fleet.docker.control_subnet,
        "mesh_web": {
            "port": fleet.control.web.port,
            "hostname": fleet.control.web.hostname,
            "certificate": web_certificate_file(fleet),
            "acme_port": fleet.control.web.acme_port,
        },
        "mesh_web_certificate": web_certificate_template(fleet),
        "mesh_web_users": logins_template(fleet.control.web.users),
        **registry_mesh_vars(fleet),
    }


def web_certificate_file(fleet: Fleet) -> str | None:
    """Return where the control host has the certificate that was given for the web UI."""
    given = fleet.control.web.certificate
    return GIVEN_CERTIFICATE if given and secret_name(given) else given


def _database(fleet: Fleet, host_name: str) -> dict[str, Any]:
    is_control, standby = host_name == fleet.control.host, fleet.control.standby
    if not has_database(fleet):
        return {"mesh_database_identities": [], "mesh_database_egress": [], "mesh_database_server": None}
    sources = [fleet.docker.run_subnet] if fleet.hosts[host_name].runs_docker else []
    if is_control:
        sources.append(fleet.docker.control_subnet)
    egress = [{"bind": gateway(subnet), "source": subnet} for subnet in sources]
    return {
        # The standby's door is in the wall already; nobody answers behind it until a failover.
        "mesh_database_identities": list(fleet.hosts) if host_name in fleet.control_hosts else [],
        "mesh_database_egress": egress or [{"bind": "127.0.0.1", "source": "127.0.0.0/8"}],
        "mesh_database_server": None if is_control else _server(fleet, fleet.control.host),
        "mesh_database_standby": None if is_control or standby is None else _server(fleet, standby),
        "mesh_database_waits": fleet.streams and not is_control,
        "mesh_backup_identities": [standby] if is_control and standby else [],
        "mesh_replication_identities": [standby] if is_control and standby and fleet.streams else [],
        "mesh_replication_server": _server(fleet, fleet.control.host)
        if fleet.streams and host_name == standby
        else None,
    }


def _server(fleet: Fleet, host_name: str) -> dict[str, Any]:
    host = fleet.hosts[host_name]
    return {"host": host_name, "address": host.address, "port": host.mesh.port}


def _certificates(fleet: Fleet, host_name: str) -> list[dict[str, Any]]:
    leaves = [asdict(spec) for spec in certificates(fleet) if spec.host == host_name]
    for leaf in leaves:
        del leaf["host"]
        leaf.update(dns_names=list(leaf["dns_names"]), ip_addresses=list(leaf["ip_addresses"]))
    return leaves

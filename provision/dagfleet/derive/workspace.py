"""workspace.yaml: where the web server and the daemon find each location's code server."""

from typing import Any

from dagfleet.derive.networks import GATEWAY_NAME
from dagfleet.derive.ports import location_ports
from dagfleet.derive.yaml_text import yaml_text
from dagfleet.fleet.model import Fleet

ADMIN_LOCATION = "admin"
ADMIN_HOST = "dagfleet-admin"
ADMIN_PORT = 4000


def workspace_yaml(fleet: Fleet) -> str:
    """Return workspace.yaml: user locations by way of the mesh, Dagfleet's own beside the web server."""
    ports = location_ports(fleet)
    servers = [_server(GATEWAY_NAME, ports[name], name) for name in fleet.locations]
    return yaml_text({"load_from": [*servers, _server(ADMIN_HOST, ADMIN_PORT, ADMIN_LOCATION)]})


def _server(host: str, port: int, name: str) -> dict[str, Any]:
    return {"grpc_server": {"host": host, "port": port, "location_name": name}}

"""What runs on each host: the database, the control plane, code servers."""

from typing import Any

from dagfleet import __version__
from dagfleet.derive.artifacts import Artifacts
from dagfleet.derive.docker_ssh import LAUNCHER_FILES, over_ssh
from dagfleet.derive.environment import (
    code_arguments,
    container_environment,
    process_environment,
    secret_environment,
    storage_secrets,
)
from dagfleet.derive.instance import dagster_yaml
from dagfleet.derive.networks import (
    CONTROL_NETWORK,
    DATABASE_PORT,
    REPLICATION_PORT,
    RUN_NETWORK,
    control_extra_hosts,
    has_database,
    run_extra_hosts,
)
from dagfleet.derive.ports import location_ports
from dagfleet.derive.registry import hosts_pull, pulled
from dagfleet.derive.secret_template import SecretTemplate, secret_template
from dagfleet.derive.workspace import workspace_yaml
from dagfleet.fleet.model import Fleet

STORAGE_PASSWORD = "secret://postgres_password"  # noqa: S105 -- a secret's name
REPLICATION_PASSWORD = "secret://replication_password"  # noqa: S105 -- a secret's name
WEB_PORT = 3000


def postgres_vars(fleet: Fleet, host_name: str) -> dict[str, Any]:
    """Return the variables of role `postgres`; on a standby the door is shut."""
    if not has_database(fleet):
        return {"postgres_databases": []}
    passwords = {"dagster": STORAGE_PASSWORD} | {
        name: database.password for name, database in fleet.postgres.databases.items()
    }
    pool = _pool_size(fleet)
    return {
        "postgres_databases": [
            {"name": name, "user": name, "password": secret_template(reference)}
            for name, reference in passwords.items()
        ],
        "postgres_pgbouncer_port": DATABASE_PORT,
        "postgres_pool_size": pool,
        "postgres_max_connections": pool * len(passwords) + 10,
        "postgres_replication_password": secret_template(REPLICATION_PASSWORD) if fleet.streams else "",
        "postgres_primary_port": REPLICATION_PORT
        if fleet.streams and host_name == fleet.control.standby
        else None,
        "postgres_open": host_name == fleet.control.host,
        "postgres_successor": _other(fleet, fleet.control.standby)
        if host_name == fleet.control.host
        else None,
    }


def _other(fleet: Fleet, host_name: str | None) -> dict[str, Any] | None:
    """Return where another host's mesh is."""
    if host_name is None:
        return None
    host = fleet.hosts[host_name]
    return {"host": host_name, "address": host.address, "port": host.mesh.port}


def backup_vars(fleet: Fleet, host_name: str) -> dict[str, Any]:
    """Return the variables of role `backup`: the control host makes backups, its standby fetches them."""
    is_control = host_name == fleet.control.host
    databases = ["dagster", *fleet.postgres.databases] if has_database(fleet) else []
    return {
        "backup_fleet_name": fleet.name,
        "backup_databases": [{"name": name, "user": name} for name in databases],
        "backup_schedule": fleet.backup.schedule if is_control else None,
        "backup_served": is_control and fleet.control.standby is not None,
        "backup_replica": fleet.streams and not is_control,
        "backup_source": None if is_control else _other(fleet, fleet.control.host),
        "backup_keep": fleet.backup.keep,
        "backup_directory": fleet.backup.directory,
        "backup_recipient": fleet.backup.recipient or "",
        "backup_versions": {"dagster": fleet.dagster.version, "dagfleet": __version__},
    }


def control_plane_vars(fleet: Fleet, artifacts: Artifacts) -> dict[str, Any]:
    """Return the variables of role `control_plane`."""
    return {
        "control_plane_image": artifacts.control_image,
        # Our own image is in no registry: it is built here and pushed.
        "control_plane_pull": fleet.control.image is not None and pulled(fleet, fleet.control.image),
        "control_plane_dagster_yaml": dagster_yaml(fleet),
        "control_plane_workspace_yaml": workspace_yaml(fleet),
        "control_plane_network": CONTROL_NETWORK,
        "control_plane_extra_hosts": control_extra_hosts(fleet),
        "control_plane_web_port": WEB_PORT,
        "control_plane_identity": []
        if over_ssh(fleet)
        else ["docker-ca.crt", "launcher.pem", "launcher.pem.key"],
        "control_plane_ssh": LAUNCHER_FILES if over_ssh(fleet) else None,
        "control_plane_database_password": _storage_password(fleet),
        "control_plane_secret_environment": storage_secrets(fleet),
    }


def code_server_vars(fleet: Fleet, host_name: str, artifacts: Artifacts) -> dict[str, Any]:
    """Return the variables of role `code_server` for a host with Docker."""
    ports = location_ports(fleet)
    return {
        "code_server_locations": [
            {
                "name": name,
                "image": location.image,
                "port": ports[name],
                "arguments": code_arguments(name, location),
                "environment": container_environment(fleet, location),
                "secret_environment": secret_environment(fleet, location),
            }
            for name, location in fleet.locations_on(host_name).items()
        ],
        "code_server_network": RUN_NETWORK,
        "code_server_extra_hosts": run_extra_hosts(fleet),
        "code_server_database_password": _storage_password(fleet),
        "code_server_pull": hosts_pull(fleet),
        "code_server_launcher": {
            "digest": artifacts.launcher.digest,
            "archive": str(artifacts.launcher.archive),
        }
        if fleet.compute_logs.store == "postgres" and fleet.locations_on(host_name)
        else None,
    }


def process_location_vars(fleet: Fleet, host_name: str, artifacts: Artifacts) -> dict[str, Any]:
    """Return the variables of role `process_location` for a host without Docker."""
    ports = location_ports(fleet)
    return {
        "process_location_locations": [
            {
                "name": name,
                "port": ports[name],
                "arguments": code_arguments(name, location),
                "environment": process_environment(fleet, name),
                "secret_environment": secret_environment(fleet, location),
                "digest": artifacts.process_releases[name].digest,
                "archive": str(artifacts.process_releases[name].archive),
            }
            for name, location in fleet.locations_on(host_name).items()
        ],
        "process_location_database_password": _storage_password(fleet),
    }


def _storage_password(fleet: Fleet) -> SecretTemplate | str:
    return secret_template(STORAGE_PASSWORD) if has_database(fleet) else ""


def _pool_size(fleet: Fleet) -> int:
    """Return connections for each database: two for a run, some for locations and the control plane."""
    runs = fleet.queue.max_concurrent_runs if fleet.queue.max_concurrent_runs >= 0 else 100
    return min(200, max(40, 20 + 2 * runs + 4 * len(fleet.locations)))

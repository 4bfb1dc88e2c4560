"""The flows of a fleet, hop by hop; pure.

A hop is asked on one host, with the identity that the flow itself uses there, so an answer proves what users
need: the right certificate is accepted, the right service answers, in its own protocol.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagfleet.derive.docker_ssh import ACCOUNT, LAUNCHER_FILES, over_ssh
from dagfleet.derive.networks import DATABASE_PORT, gateway, has_database
from dagfleet.derive.ports import location_ports
from dagfleet.derive.registry import REGISTRY_UNIT, registry_hostname, registry_hosts, registry_name
from dagfleet.fleet.model import Fleet

PKI = "/etc/dagfleet/pki"


@dataclass(frozen=True)
class Hop:
    """One step of a flow. `question` is what `ask.py` does on `host`; `mend` is for when it fails."""

    title: str
    host: str
    question: Mapping[str, Any]
    mend: str

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells questions apart: several flows share some."""
        return self.host, json.dumps(dict(self.question), sort_keys=True)


@dataclass(frozen=True)
class Flow:
    """Hops in the order in which a request takes them. `broken` is what users see when one fails."""

    title: str
    broken: str
    hops: tuple[Hop, ...]


def flows(fleet: Fleet) -> list[Flow]:
    """Return every flow: the web UI, each location on each of its hosts, Docker, the database, images."""
    return [
        _web(fleet),
        *_locations(fleet),
        *_docker(fleet),
        *_database(fleet),
        *_registry(fleet),
        *_standby(fleet),
    ]


def _web(fleet: Fleet) -> Flow:
    control = fleet.control.host
    return Flow(
        "web",
        "The web UI cannot be used.",
        (
            _container(control, "dagfleet-web", "web server"),
            Hop(
                f"mesh {control} -> web server",
                control,
                {"kind": "http", "address": "127.0.0.1", "port": 3000, "path": "/server_info"},
                f"dagfleet logs web, or restart it on {control}: docker restart dagfleet-web",
            ),
            _container(control, "dagfleet-daemon", "daemon"),
        ),
    )


def _locations(fleet: Fleet) -> Iterator[Flow]:
    control, ports = fleet.control.host, location_ports(fleet)
    for name, location in fleet.locations.items():
        egress = Hop(
            f"web -> mesh on {control}",
            control,
            {"kind": "listens", "address": gateway(fleet.docker.control_subnet), "port": ports[name]},
            f"see what HAProxy says on {control}: journalctl -u haproxy",
        )
        for host in location.hosts:
            service = (
                _container(host, f"dagfleet-location-{name}", f"code server {name}")
                if fleet.hosts[host].runs_docker
                else _slot(host, name)
            )
            yield Flow(
                f"{name} on {host}",
                f"{name} cannot be reached on {host}.",
                (
                    egress,
                    _unit(host, "haproxy.service", f"mesh on {host}"),
                    Hop(
                        f"mesh {control} -> {host}:{fleet.hosts[host].mesh.port}",
                        control,
                        {
                            **_tls(fleet, host, "gateway", "mesh"),
                            "kind": "tls",
                            "protocol": f"{name}.grpc.dagfleet",
                        },
                        f"see that {host} is up and lets {control} in: dagfleet check --limit {host}",
                    ),
                    service,
                    Hop(
                        f"mesh {host} -> {name}",
                        control,
                        {
                            **_tls(fleet, host, "gateway", "mesh"),
                            "kind": "grpc",
                            "protocol": f"{name}.grpc.dagfleet",
                        },
                        f"dagfleet logs {name}",
                    ),
                ),
            )


def _docker(fleet: Fleet) -> Iterator[Flow]:
    for host, each in fleet.hosts.items():
        if each.runs_docker:
            # With docker.access tls dockerd answers there itself, to the same certificate.
            mesh = (_unit(host, "haproxy.service", f"mesh on {host}"),)
            last = _launcher_by_ssh(fleet, host) if over_ssh(fleet) else _launcher(fleet, host)
            yield Flow(
                f"docker on {host}",
                f"The launcher cannot start runs on {host}.",
                (
                    _unit(host, "docker.service", f"Docker on {host}"),
                    *(mesh if fleet.docker.access == "mesh" else ()),
                    last,
                ),
            )


def _launcher(fleet: Fleet, host: str) -> Hop:
    control, port = fleet.control.host, fleet.hosts[host].docker_port
    server = "haproxy" if fleet.docker.access == "mesh" else "docker"
    return Hop(
        f"launcher {control} -> {host}:{port}",
        control,
        {**_tls(fleet, host, "launcher", "docker"), "port": port, "kind": "docker"},
        f"see what it says on {host}: journalctl -u {server}",
    )


def _launcher_by_ssh(fleet: Fleet, host: str) -> Hop:
    control, port = fleet.control.host, fleet.hosts[host].ssh.port
    return Hop(
        f"launcher {control} -> {host}:{port} by SSH",
        control,
        {
            "kind": "docker-ssh",
            "address": fleet.hosts[host].address,
            "port": port,
            "account": ACCOUNT,
            "files": LAUNCHER_FILES,
        },
        f"see why sshd on {host} refuses {ACCOUNT} (journalctl -u ssh), or put its key back: dagfleet apply",
    )


def _database(fleet: Fleet) -> Iterator[Flow]:
    if not has_database(fleet):
        return
    control = fleet.control.host
    server = (
        _unit(control, "postgresql@*-dagfleet.service", "PostgreSQL"),
        _unit(control, "pgbouncer.service", "PgBouncer"),
        Hop(
            f"PgBouncer on {control}",
            control,
            {"kind": "sql", "address": "127.0.0.1", "port": DATABASE_PORT},
            f"see what it says on {control}: journalctl -u pgbouncer",
        ),
    )
    yield Flow("database", "The database cannot be reached, so nothing works.", server)
    for host in fleet.hosts:
        if host != control:
            yield Flow(
                f"database from {host}",
                f"Runs and code servers on {host} cannot reach the database.",
                (
                    _unit(host, "haproxy.service", f"mesh on {host}"),
                    Hop(
                        f"mesh {host} -> {control}:{fleet.hosts[control].mesh.port} -> PgBouncer",
                        host,
                        {
                            **_tls(fleet, control, "mesh-client", "mesh"),
                            "kind": "tls-sql",
                            "protocol": "db.dagfleet",
                        },
                        f"see that {control} lets {host} in: dagfleet check --limit {control}",
                    ),
                ),
            )


def _standby(fleet: Fleet) -> Iterator[Flow]:
    standby, control = fleet.control.standby, fleet.control.host
    if standby is None:
        return
    replica = [_unit(standby, "postgresql@*-dagfleet.service", "PostgreSQL that follows")]
    yield Flow(
        f"standby {standby}",
        f"{standby} does not keep up, and would take over from something old.",
        (
            _unit(control, "dagfleet-backups.socket", f"backups of {control}, for its standby"),
            Hop(
                f"mesh {standby} -> {control}:{fleet.hosts[control].mesh.port} -> backups",
                standby,
                {
                    **_tls(fleet, control, "mesh-client", "mesh"),
                    "kind": "tls",
                    "protocol": "backups.dagfleet",
                },
                f"see that {control} lets {standby} in: dagfleet check --limit {control}",
            ),
            _unit(standby, "dagfleet-follow.timer", "what fetches them"),
            *(replica if fleet.streams else []),
            _unit(
                control, "dagfleet-fence.service", f"what keeps {control} shut once {standby} has taken over"
            ),
        ),
    )


def _registry(fleet: Fleet) -> Iterator[Flow]:
    if fleet.registry is None:
        return
    control = fleet.control.host
    for host in registry_hosts(fleet):
        yield Flow(
            f"images on {host}",
            f"{host} cannot pull from the fleet's registry; the images that it has go on working.",
            (
                _unit(control, "haproxy.service", f"mesh on {control}"),
                _unit(control, REGISTRY_UNIT, "registry"),
                Hop(
                    f"mesh {host} -> {registry_name(fleet)}",
                    host,
                    {
                        **_tls(fleet, control, "mesh-client", "mesh"),
                        # By the name that dockerd looks up, and that the certificate has to have.
                        "address": registry_hostname(fleet),
                        "name": registry_hostname(fleet),
                        "port": fleet.registry.port,
                        "kind": "registry",
                    },
                    f"see that {control} lets {host} in: dagfleet check --limit {control}",
                ),
            ),
        )


def _tls(fleet: Fleet, host: str, identity: str, authority: str) -> dict[str, Any]:
    return {
        "address": fleet.hosts[host].address,
        "port": fleet.hosts[host].mesh.port,
        "name": host,
        "certificate": f"{PKI}/{identity}.pem",
        "authority": f"{PKI}/{authority}-ca.crt",
    }


def _container(host: str, name: str, title: str) -> Hop:
    return Hop(
        title,
        host,
        {"kind": "container", "name": name},
        f"start it on {host}: docker start {name}, or put it back: dagfleet apply",
    )


def _slot(host: str, location: str) -> Hop:
    """Return the hop of a code server without Docker: which of its two units serves, the host knows."""
    return Hop(
        f"code server {location}",
        host,
        {"kind": "unit", "name": f"dagfleet-location-{location}@SLOT.service", "location": location},
        f"see what it says: dagfleet logs {location}, or put it back: dagfleet apply",
    )


def _unit(host: str, name: str, title: str) -> Hop:
    return Hop(
        title,
        host,
        {"kind": "unit", "name": name},
        f"start it on {host}: systemctl restart {name}; its log: journalctl -u {name}",
    )

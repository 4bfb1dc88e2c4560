"""A mesh on loopback: real HAProxy as alpha (control), beta and gamma, from the role's own templates."""

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

Authority = Literal["docker", "mesh"]
Usage = Literal["server", "client"]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# What crypt(3) makes of "secret": the role takes hashes as they are.
HASHED_SECRET = "$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"
ADDRESSES = {"alpha": "127.0.1.1", "beta": "127.0.1.2", "gamma": "127.0.1.3"}
SERVERS: dict[str, Authority] = {"docker-server": "docker", "mesh-server": "mesh", "web": "mesh"}
IDENTITIES: dict[str, Authority] = {
    "gateway": "mesh",
    "beta": "mesh",
    "launcher": "docker",
    "reader": "docker",
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@dataclass
class Mesh:
    """Where everything of the loopback mesh is, and clients for it."""

    directory: Path
    ports: dict[str, int] = field(default_factory=dict)
    code_servers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def slots(self) -> Path:
        """Return the map of the slots that serve; all hosts share it here."""
        return self.directory / "etc/dagfleet/slots.map"

    def tls(self, identity: str | None, *, store: str = "pki", authority: str = "mesh") -> ssl.SSLContext:
        """Return a client context showing `identity`; the server's name is not what these tests look at."""
        context = ssl.create_default_context(cafile=str(self.directory / f"pki/{authority}-ca.crt"))
        context.check_hostname = False
        if identity:
            certificate = self.directory / store / f"{identity}.pem"
            context.load_cert_chain(certificate, f"{certificate}.key")
        return context

    @contextmanager
    def connection(
        self,
        host: str,
        port: str,
        identity: str | None,
        *,
        name: str | None = None,
        protocol: str | None = None,
        **kwargs: str,
    ) -> Iterator[ssl.SSLSocket]:
        """Open a TLS connection to a host's port, as `identity`, for the server name or the protocol."""
        context = self.tls(identity, **kwargs)
        if protocol:
            context.set_alpn_protocols([protocol])
        with (
            socket.create_connection((ADDRESSES[host], self.ports[port]), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            yield connection

    def log(self, host: str) -> str:
        """Return what a host's HAProxy logged; it writes a moment after it answers."""
        time.sleep(0.2)
        return (self.directory / f"{host}.log").read_text()

    def greeting(self, host: str, identity: str | None, name: str | None, **kwargs: str) -> bytes:
        """Return what a code server behind `host` answers to HTTP/2's first words; empty when refused."""
        try:
            with self.connection(host, "mesh", identity, name=name, **kwargs) as connection:
                connection.sendall(PREFACE)
                return connection.recv(9)
        except (ssl.SSLError, ConnectionError):
            return b""


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@contextmanager
def running_mesh(directory: Path, **ports: int) -> Iterator[Mesh]:
    """Run the mesh; `ports` names those that something else listens on already."""
    mesh = Mesh(directory)
    names = (
        "mesh",
        "docker",
        "web",
        "acme",
        "challenges",
        "etl",
        "database",
        "code-beta",
        "code-gamma",
        "dagster",
        "postgres",
        "standby",
        "replication",
    )
    mesh.ports = dict(zip(names, _free_ports(len(names)), strict=True)) | {"code-beta": _free_pair()} | ports
    _make_certificates(directory / "pki")
    _make_certificates(directory / "stranger")
    started: list[subprocess.Popen[bytes]] = []
    try:
        for host in ("beta", "gamma"):
            mesh.code_servers[host] = start_code_server(mesh.ports[f"code-{host}"], directory)
            started.append(mesh.code_servers[host])
        _render(mesh)
        started.extend(_start_haproxy(directory, host) for host in ADDRESSES)
        for host in mesh.code_servers:
            wait_until(partial(mesh.greeting, host, "gateway", "etl.grpc.dagfleet"), f"{host}'s code server")
        yield mesh
    finally:
        for process in started:
            end(process)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _free_pair() -> int:
    """Return the first of two free ports: a location's slots."""
    while True:
        first = _free_ports(1)[0]
        with socket.socket() as second, suppress(OSError, OverflowError):
            second.bind(("127.0.0.1", first + 1))
            return first


def _make_certificates(directory: Path) -> None:
    """Make both authorities, every identity, and a folder of each host with what its HAProxy loads."""
    authorities = Authorities.create(directory / "authorities", "component", "passphrase", 1)

    def issue(folder: Path, name: str, common_name: str, authority: Authority, usage: Usage) -> None:
        at_host = usage == "server" and common_name in ADDRESSES
        spec = CertificateSpec(
            name=name,
            host=None,
            authority=authority,
            common_name=common_name,
            dns_names=(common_name,) if usage == "server" else (),
            ip_addresses=(ADDRESSES[common_name],) if at_host else (),
            usage=usage,
        )
        key, certificate = authorities.issue(spec, 30)
        (folder / f"{name}.pem").write_bytes(certificate)
        (folder / f"{name}.pem.key").write_bytes(key)

    for identity, of in IDENTITIES.items():
        issue(directory, identity, identity, of, "client")
    # Alpha's own, from when it was thought dead.
    deposed = directory / "deposed"
    deposed.mkdir()
    issue(deposed, "mesh-client", "alpha", "mesh", "client")
    (deposed / "mesh-ca.crt").write_bytes(authorities.certificate("mesh"))
    authorities.revoke("mesh", [authorities.issued("mesh")[-1].serial])
    for host in ADDRESSES:
        folder = directory / host
        folder.mkdir()
        for server, of in SERVERS.items():
            issue(folder, server, host, of, "server")
        issue(folder, "given", "dagster.test", "mesh", "server")
        for client, common_name in {"mesh-client": host, "gateway": "gateway"}.items():
            issue(folder, client, common_name, "mesh", "client")
        for of in ("docker", "mesh"):
            (folder / f"{of}-ca.crt").write_bytes(authorities.certificate(of))
            shutil.copy(authorities.directory / of / "ca.crl", folder / f"{of}-ca.crl")
    for of in ("docker", "mesh"):
        (directory / f"{of}-ca.crt").write_bytes(authorities.certificate(of))


def _render(mesh: Mesh) -> None:
    ports = mesh.ports
    everywhere = {
        "mesh_user": pwd.getpwuid(os.getuid()).pw_name,
        "mesh_group": grp.getgrgid(os.getgid()).gr_name,
        "mesh_chroot": "",
        "mesh_maxconn": 200,
        "mesh_port": ports["mesh"],
        "mesh_docker_port": None,
        "mesh_database_port": ports["database"],
        "mesh_database_upstream": f"127.0.0.1:{ports['postgres']}",
        "mesh_docker_socket": str(mesh.directory / "docker.sock"),
        "mesh_slots": str(mesh.slots),
    }
    pool = [{"host": h, "address": ADDRESSES[h], "port": ports["mesh"]} for h in ("beta", "gamma")]
    each: dict[str, dict[str, object]] = {
        "alpha": {
            "mesh_database_identities": ["alpha", "beta", "gamma"],
            "mesh_grpc_egress": [{"name": "etl", "port": ports["etl"], "servers": pool}],
            "mesh_grpc_egress_bind": ADDRESSES["alpha"],
            "mesh_grpc_egress_source": "127.0.0.1/32",
            "mesh_web": {
                "port": ports["web"],
                "hostname": "dagster.test",
                "certificate": str(mesh.directory / "pki" / "alpha" / "given.pem"),
                "acme_port": ports["challenges"],
            },
            "mesh_acme_port": ports["acme"],
            "mesh_web_users": f"ada:correct horse\n# a comment\ngrace:{HASHED_SECRET}",
            "mesh_web_upstream": f"127.0.0.1:{ports['dagster']}",
            "mesh_replication_identities": ["gamma"],
            "mesh_replication_socket": str(mesh.directory / "primary.sock"),
            "mesh_backup_identities": ["gamma"],
            "mesh_backup_socket": str(mesh.directory / "backups.sock"),
        },
        "beta": {
            "mesh_docker_port": ports["docker"],
            "mesh_locations": [{"name": "etl", "port": ports["code-beta"]}],
            "mesh_database_egress": [{"bind": ADDRESSES["beta"], "source": "127.0.0.1/32"}],
            "mesh_database_server": {"host": "alpha", "address": ADDRESSES["alpha"], "port": ports["mesh"]},
            "mesh_database_waits": True,
            "mesh_waiting_script": str(ROOT / "roles/mesh/files/dagfleet-wait.lua"),
            "mesh_waiting_socket": f"abns@dagfleet-test-{os.getpid()}-{ports['mesh']}",
            "mesh_database_standby": {"host": "gamma", "address": ADDRESSES["gamma"], "port": ports["mesh"]},
        },
        "gamma": {
            "mesh_replication_server": {
                "host": "alpha",
                "address": ADDRESSES["alpha"],
                "port": ports["mesh"],
            },
            "mesh_replication_port": ports["replication"],
            "mesh_database_identities": ["alpha", "beta", "gamma"],
            "mesh_database_upstream": f"127.0.0.1:{ports['standby']}",
            "mesh_locations": [
                {"name": "etl", "port": ports["code-gamma"]},
                {"name": "other", "port": ports["code-beta"]},
            ],
        },
    }
    mesh.slots.parent.mkdir(parents=True)
    mesh.slots.touch()
    for host, address in ADDRESSES.items():
        variables = (
            everywhere
            | each[host]
            | {
                "mesh_listen": address,
                "mesh_directory": str(mesh.directory / "pki" / host),
                "mesh_admin_socket": str(mesh.directory / f"{host}.sock"),
            }
        )
        (mesh.directory / f"{host}.json").write_text(json.dumps(variables))
    inventory = mesh.directory / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(ADDRESSES)}}))
    subprocess.run(
        [
            sys.executable, "-m", "ansible", "playbook",
            "-i", str(inventory), "-e", json.dumps({"directory": str(mesh.directory)}),
            str(HERE / "render.yml"),
        ],
        cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _start_haproxy(directory: Path, host: str) -> "subprocess.Popen[bytes]":
    files = [directory / f"{host}-haproxy.cfg", directory / f"{host}-users.cfg"]
    arguments = [text for file in files if file.exists() for text in ("-f", str(file))]
    with (directory / f"{host}.log").open("wb") as log:
        return subprocess.Popen(["haproxy", "-db", *arguments], stderr=log, start_new_session=True)


def start_code_server(port: int, directory: Path) -> "subprocess.Popen[bytes]":
    home = directory / f"dagster-{port}"
    home.mkdir(parents=True)
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [
                sys.executable, "-m", "dagster", "api", "grpc",
                "-h", "127.0.0.1", "-p", str(port), "-f", str(HERE / "definitions.py"),
            ],
            env=os.environ | {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"},
            stdout=log, stderr=log,
            # Started in the background of a shell that is not interactive, Dagster would ignore signals.
            start_new_session=True,
        )  # fmt: skip


def end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def wait_until(ready: Callable[[], object], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what} is not there after {seconds} s"
        time.sleep(0.1)

"""The loopback fleet, set up once for all tests of this folder."""

import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from dagfleet.derive.mesh import mesh_vars
from dagfleet.phases.authorities import Store
from dagfleet.phases.due import specs

from tests.component.database import Cluster
from tests.component.mesh.dockerd import Dockerd
from tests.component.pki.load import Doors
from tests.component.pki.loopback import ADDRESSES, ROOT, Machine, loopback_fleet, operate

FLEET = """\
version: 1
name: loopback
dagster: {{version: "1.13.27"}}
control: {{host: alpha, web: {{hostname: dagster.test, users: secret://web_users}}}}
hosts:
  alpha: {{address: 10.0.0.1, docker_port: {docker}, mesh: {{port: {mesh}}}}}
  beta: {{address: 10.0.0.2, docker_port: {docker}, mesh: {{port: {mesh}}}}}
locations: {{etl: {{hosts: [beta], image: "etl:1", module: etl.defs}}}}
pki: {{passphrase: secret://ca}}
secrets: {{web_users: {{generated: {{users: [demo]}}}}, ca: {{generated: true}}}}
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Path]:
    """A fleet whose certificates are in place and whose HAProxies run."""
    folder = tmp_path_factory.mktemp("loopback")
    ports = dict(zip(("docker", "mesh", "sql", "code", "egress"), _free_ports(5), strict=True))
    (folder / "ports.json").write_text(json.dumps(ports))
    (folder / "fleet.yml").write_text(FLEET.format(**ports))
    database = cluster.create_database()
    (folder / "database.json").write_text(json.dumps([database.url, database.password]))
    _first_certificates(folder)
    _render(folder, ports, urlsplit(database.url).port or 0)
    code = _code_server(ports["code"])
    dockerd = Dockerd(folder / "docker.sock")
    threading.Thread(target=dockerd.serve_forever, daemon=True).start()
    started = [_start_haproxy(folder, name) for name in ADDRESSES]
    try:
        for name in ADDRESSES:
            _wait_for(Machine(folder, name))
        yield folder
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=20)
        dockerd.shutdown()
        dockerd.server_close()
        code.stop(None)


@pytest.fixture(scope="session")
def doors(folder: Path) -> Doors:
    ports = json.loads((folder / "ports.json").read_text())
    url, password = json.loads((folder / "database.json").read_text())
    parts = urlsplit(url)
    sql = {
        "host": ADDRESSES["beta"], "port": ports["sql"], "dbname": parts.path.strip("/"),
        "user": parts.username, "password": password, "sslmode": "disable",
    }  # fmt: skip
    return Doors(Machine(folder, "alpha"), ports["mesh"], ports["egress"], ports["docker"], sql)


def _first_certificates(folder: Path) -> None:
    fleet_file = loopback_fleet(folder)
    store = Store(fleet_file)
    for name in ADDRESSES:
        machine = Machine(folder, name)
        machine.make_requests(fleet_file, ())
        for spec in specs(fleet_file.fleet, name):
            request = fleet_file.state / "pki" / "leaves" / name / f"{spec.name}.csr"
            request.with_suffix(".crt").write_bytes(
                store.unlocked().sign_request(request.read_bytes(), spec, 90)
            )
        machine.take_up(fleet_file, (), ())
    operate(folder, "renew")


def _render(folder: Path, ports: dict[str, int], postgres: int) -> None:
    fleet = loopback_fleet(folder).fleet
    (folder / "slots.map").touch()
    for name, address in ADDRESSES.items():
        variables = mesh_vars(fleet, name) | {
            "mesh_listen": address,
            "mesh_directory": str(folder / "hosts" / name),
            "mesh_admin_socket": str(folder / f"{name}.sock"),
            "mesh_slots": str(folder / "slots.map"),
            "mesh_user": pwd.getpwuid(os.getuid()).pw_name,
            "mesh_group": grp.getgrgid(os.getgid()).gr_name,
            "mesh_chroot": "",
            "mesh_maxconn": 500,
            "mesh_web": None,
            "mesh_docker_socket": str(folder / "docker.sock"),
            "mesh_database_port": ports["sql"],
            "mesh_database_upstream": f"127.0.0.1:{postgres}",
            "mesh_database_egress": [{"bind": address, "source": "127.0.0.0/8"}],
        }
        if name == "alpha":
            variables["mesh_grpc_egress"][0]["port"] = ports["egress"]
            variables |= {"mesh_grpc_egress_bind": address, "mesh_grpc_egress_source": "127.0.0.0/8"}
        else:
            variables["mesh_locations"] = [{"name": "etl", "port": ports["code"]}]
        (folder / f"{name}.json").write_text(json.dumps(variables))
    # Beside a fleet.yml our inventory plugin reads nothing else.
    inventory = folder / "ansible" / "inventory.json"
    inventory.parent.mkdir()
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(ADDRESSES)}}))
    subprocess.run(
        [
            sys.executable, "-m", "ansible", "playbook",
            "-i", str(inventory), "-e", json.dumps({"directory": str(folder)}),
            str(ROOT / "tests/component/mesh/render.yml"),
        ],
        cwd=ROOT, check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _start_haproxy(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    machine = Machine(folder, name)
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-W", "-S", str(machine.master), "-f", str(folder / f"{name}-haproxy.cfg")],
            stderr=log, stdout=log, start_new_session=True,
        )  # fmt: skip
    (folder / f"{name}.pid").write_text(str(process.pid))
    return process


def _wait_for(machine: Machine) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if machine.worker():
                return
        except OSError:
            pass
        log = machine.folder / f"{machine.name}.log"
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _code_server(port: int) -> grpc.Server:
    """A gRPC server that says what it hears, once or in a stream."""
    handlers = {
        "once": grpc.unary_unary_rpc_method_handler(lambda word, _context: word),
        "stream": grpc.stream_stream_rpc_method_handler(lambda words, _context: words),
    }
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def copy_of_the_store(folder: Path, tmp_path: Path) -> Path:
    """The operator's folder as somebody may have copied it before."""
    shutil.copytree(folder / "hosts", tmp_path / "hosts")
    shutil.copytree(folder / ".dagfleet", tmp_path / ".dagfleet")
    return tmp_path

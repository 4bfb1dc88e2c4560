"""The database is reached by hosts of the fleet, each from its own containers, and by nobody else."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.component.mesh.conftest import ADDRESSES, Mesh


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.readline())


@pytest.fixture(scope="module", autouse=True)
def database(mesh: Mesh) -> Iterator[socketserver.BaseServer]:
    address = ("127.0.0.1", mesh.ports["postgres"])
    with socketserver.ThreadingTCPServer(address, _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _echo(connection: socket.socket) -> bytes:
    try:
        connection.sendall(b"select 1\n")
        return connection.recv(64)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_a_hosts_own_containers_reach_it_in_plain(mesh: Mesh) -> None:
    with socket.create_connection((ADDRESSES["beta"], mesh.ports["database"]), timeout=5) as connection:
        assert _echo(connection) == b"select 1\n"


def test_others_do_not_by_way_of_that_host(mesh: Mesh) -> None:
    source = (ADDRESSES["gamma"], 0)
    with socket.create_connection((ADDRESSES["beta"], mesh.ports["database"]), 5, source) as connection:
        assert _echo(connection) == b""


@pytest.mark.parametrize(("identity", "answer"), [("beta", b"select 1\n"), ("gateway", b"")])
def test_only_hosts_reach_it_over_the_mesh(mesh: Mesh, identity: str, answer: bytes) -> None:
    with mesh.connection("alpha", "mesh", identity, name="db.dagfleet") as connection:
        assert _echo(connection) == answer


def test_the_control_host_serves_no_code_under_that_identity(mesh: Mesh) -> None:
    assert mesh.greeting("alpha", "beta", "etl.grpc.dagfleet") == b""

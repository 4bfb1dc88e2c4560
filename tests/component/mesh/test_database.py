"""The database is reached by hosts of the fleet, each from its own containers, and by nobody else."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

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


def _echo(opened: AbstractContextManager[socket.socket]) -> bytes:
    """Return what comes back; empty when refused, which a client may see while it still connects."""
    try:
        with opened as connection:
            connection.sendall(b"select 1\n")
            return connection.recv(64)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return b""


@contextmanager
def _plain(mesh: Mesh, *, source: str = "") -> Iterator[socket.socket]:
    address = (ADDRESSES["beta"], mesh.ports["database"])
    with socket.create_connection(address, timeout=5, source_address=(source, 0)) as connection:
        yield connection


def test_a_hosts_own_containers_reach_it_in_plain(mesh: Mesh) -> None:
    assert _echo(_plain(mesh)) == b"select 1\n"


def test_others_do_not_by_way_of_that_host(mesh: Mesh) -> None:
    assert _echo(_plain(mesh, source=ADDRESSES["gamma"])) == b""


@pytest.mark.parametrize(("identity", "answer"), [("beta", b"select 1\n"), ("gateway", b"")])
def test_only_hosts_reach_it_over_the_mesh(mesh: Mesh, identity: str, answer: bytes) -> None:
    assert _echo(mesh.connection("alpha", "mesh", identity, name="db.dagfleet")) == answer


def test_the_control_host_serves_no_code_under_that_identity(mesh: Mesh) -> None:
    assert mesh.greeting("alpha", "beta", "etl.grpc.dagfleet") == b""

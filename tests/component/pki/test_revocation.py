"""Who is revoked is refused by every HAProxy, and the connections that he had end."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError

from tests.component.pki.load import Doors
from tests.component.pki.loopback import ADDRESSES, operate

REFUSED = "CERTIFICATE_REVOKED"


@dataclass(frozen=True)
class Door:
    """A service that a certificate opens: where, under which name, and words that it answers."""

    leaf: str
    host: str
    name: str
    words: bytes

    def port(self, doors: Doors) -> int:
        return doors.docker_port if self.name == "http/1.1" else doors.mesh_port


DOCKER = Door("alpha/launcher", "beta", "http/1.1", b"GET /v1.41/_ping HTTP/1.1\r\nHost: beta\r\n\r\n")
# HTTP/2's first words, which gRPC answers with its settings.
CODE = Door(
    "alpha/gateway", "beta", "etl.grpc.dagfleet",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)),
)  # fmt: skip
# PostgreSQL's question for TLS, which it answers with N.
SQL = Door("beta/mesh-client", "alpha", "db.dagfleet", bytes((0, 0, 0, 8, 4, 210, 22, 47)))


@contextlib.contextmanager
def opened(doors: Doors, door: Door, hosts: Path, *, host: str | None = None) -> Iterator[ssl.SSLSocket]:
    """A connection that shows the leaf in `hosts`. With TLS 1.3 its refusal comes after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([door.name])
    leaf = hosts / f"{door.leaf}.pem"
    context.load_cert_chain(leaf, f"{leaf}.key")
    with (
        socket.create_connection((ADDRESSES[host or door.host], door.port(doors)), timeout=20) as plain,
        context.wrap_socket(plain) as connection,
    ):
        yield connection


def answer(doors: Doors, door: Door, hosts: Path, *, host: str | None = None) -> str:
    """Return `served`, or OpenSSL's reason for the refusal."""
    with opened(doors, door, hosts, host=host) as connection:
        try:
            # Words sent to a closed door can overtake the alert that says why.
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError):
                connection.recv(1)
            connection.settimeout(20)
            connection.sendall(door.words)
            return "served" if connection.recv(100) else "closed"
        except ssl.SSLError as error:
            return str(error.reason)


@pytest.mark.parametrize("door", [DOCKER, CODE, SQL], ids=lambda door: door.leaf)
def test_a_revoked_certificate_is_refused_its_open_connections_end_and_its_owner_has_a_new_one(
    folder: Path, doors: Doors, copy_of_the_store: Path, door: Door
) -> None:
    stolen = copy_of_the_store / "hosts"
    with opened(doors, door, stolen) as thief:
        thief.sendall(door.words)
        assert thief.recv(100)
        operate(folder, "revoke", door.leaf)
        assert not more_is_served(thief, door)
    assert REFUSED in answer(doors, door, stolen)
    assert answer(doors, door, folder / "hosts") == "served"
    key = f"{door.leaf}.pem.key"
    assert (folder / "hosts" / key).read_bytes() != (stolen / key).read_bytes()


def more_is_served(connection: ssl.SSLSocket, door: Door) -> bool:
    """Whether an open connection is of further use, once what came before the end has been read."""
    connection.settimeout(20)
    try:
        connection.sendall(door.words)
        while part := connection.recv(65536):
            if part.startswith(b"HTTP/1.1"):
                return part.startswith(b"HTTP/1.1 200")
    except (ssl.SSLError, ConnectionError):
        return False
    return False


def test_every_host_refuses_a_revoked_launcher(folder: Path, doors: Doors, copy_of_the_store: Path) -> None:
    operate(folder, "revoke", "launcher")
    for host in ADDRESSES:
        assert REFUSED in answer(doors, DOCKER, copy_of_the_store / "hosts", host=host)


def test_the_owner_never_has_nothing_to_show(folder: Path, doors: Doors) -> None:
    """New connections find either certificate good: the new one arrives before the old one is refused."""
    with doors.under_load() as counts:
        operate(folder, "revoke", "launcher")
    assert not counts["new Docker connections"].failed
    assert not counts["new gRPC calls"].failed
    assert not counts["a SQL session"].failed


def test_what_was_never_issued_cannot_be_revoked(folder: Path) -> None:
    before = (folder / ".dagfleet/pki/docker/ca.crl").read_bytes()
    with pytest.raises(ConfigurationError, match='no certificate is called "lancher"') as raised:
        operate(folder, "revoke", "lancher")
    assert raised.value.fix == 'did you mean "launcher"?'
    assert (folder / ".dagfleet/pki/docker/ca.crl").read_bytes() == before

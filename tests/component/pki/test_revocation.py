"""Who is revoked is refused by every HAProxy, and the connections that he had end."""

import contextlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
READER = replace(DOCKER, leaf="reader")
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
def test_a_revoked_certificate_is_refused_and_its_owner_has_another_with_a_new_key(
    folder: Path, doors: Doors, copy_of_the_store: Path, door: Door
) -> None:
    stolen = copy_of_the_store / "hosts"
    assert answer(doors, door, stolen) == "served"
    operate(folder, "revoke", door.leaf)
    assert REFUSED in answer(doors, door, stolen)
    assert answer(doors, door, folder / "hosts") == "served"
    key = f"{door.leaf}.pem.key"
    assert (folder / "hosts" / key).read_bytes() != (stolen / key).read_bytes()


@pytest.mark.parametrize("door", [CODE, SQL], ids=lambda door: door.leaf)
def test_an_open_connection_of_a_revoked_certificate_ends(
    folder: Path, doors: Doors, copy_of_the_store: Path, door: Door
) -> None:
    with opened(doors, door, copy_of_the_store / "hosts") as thief:
        thief.sendall(door.words)
        assert thief.recv(100)
        operate(folder, "revoke", door.leaf)
        # It says nothing more itself: only HAProxy can be who ends it.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while thief.recv(65536):
                pass


def test_a_waiting_http_connection_of_a_revoked_certificate_is_served_nothing_more(
    folder: Path, doors: Doors, copy_of_the_store: Path
) -> None:
    for kind, suffix in (("crt", "pem"), ("key", "pem.key")):
        reader = folder / f".dagfleet/pki/operator/reader.{kind}"
        shutil.copy(reader, copy_of_the_store / f"hosts/reader.{suffix}")
    with (
        opened(doors, DOCKER, copy_of_the_store / "hosts") as thief,
        opened(doors, READER, copy_of_the_store / "hosts") as other,
    ):
        for waiting in (thief, other):
            waiting.sendall(DOCKER.words)
            assert waiting.recv(1000).startswith(b"HTTP/1.1 200")
        operate(folder, "revoke", DOCKER.leaf)
        for waiting in (thief, other):
            waiting.sendall(DOCKER.words)
        assert thief.recv(1000).startswith(b"HTTP/1.1 403")
        assert other.recv(1000).startswith(b"HTTP/1.1 200")


def test_every_host_refuses_a_revoked_launcher(folder: Path, doors: Doors, copy_of_the_store: Path) -> None:
    operate(folder, "revoke", "launcher")
    for host in ADDRESSES:
        assert REFUSED in answer(doors, DOCKER, copy_of_the_store / "hosts", host=host)


def test_revoking_an_identity_disturbs_no_other_service(folder: Path, doors: Doors) -> None:
    with doors.under_load() as counts:
        operate(folder, "revoke", "alpha/launcher")
    failed = {name: count.failed for name, count in counts.items() if "Docker" not in name and count.failed}
    assert not failed


def test_what_was_never_issued_cannot_be_revoked(folder: Path) -> None:
    before = (folder / ".dagfleet/pki/docker/ca.crl").read_bytes()
    with pytest.raises(ConfigurationError, match='no certificate is called "lancher"') as raised:
        operate(folder, "revoke", "lancher")
    assert raised.value.fix == 'did you mean "launcher"?'
    assert (folder / ".dagfleet/pki/docker/ca.crl").read_bytes() == before

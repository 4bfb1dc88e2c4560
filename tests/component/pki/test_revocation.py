"""Who is revoked is refused by every HAProxy, and the connections that he had end."""

import subprocess
from pathlib import Path

import pytest
import requests
from dagfleet.errors import ConfigurationError

from tests.component.pki.load import Doors
from tests.component.pki.loopback import ADDRESSES, operate

DB = ("-alpn", "db.dagfleet")
ETL = ("-alpn", "etl.grpc.dagfleet")


def handshake(doors: Doors, host: str, leaf: Path, *, docker: bool, options: tuple[str, ...] = ()) -> str:
    """What openssl says of a connection that shows `leaf`: the alert, or nothing when it was let in."""
    port = doors.docker_port if docker else doors.mesh_port
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{ADDRESSES[host]}:{port}", "-cert", str(leaf),
         "-key", f"{leaf}.key", "-tls1_3", *options],
        input=b"Q\n" if not docker else b"GET /v1.41/_ping HTTP/1.0\r\n\r\n",
        capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    return next((line for line in done.stderr.decode().splitlines() if "alert" in line), "")


def test_a_revoked_launcher_is_refused_by_every_host_and_its_successor_is_not(
    folder: Path, doors: Doors, copy_of_the_store: Path
) -> None:
    stolen = copy_of_the_store / "hosts/alpha/launcher.pem"
    assert not handshake(doors, "beta", stolen, docker=True)
    operate(folder, "revoke", "launcher")
    for host in ADDRESSES:
        assert "certificate revoked" in handshake(doors, host, stolen, docker=True)
    successor = doors.alpha.pki / "launcher.pem"
    assert not handshake(doors, "beta", successor, docker=True)
    assert Path(f"{successor}.key").read_bytes() != Path(f"{stolen}.key").read_bytes()


def test_an_idle_connection_of_a_revoked_launcher_asks_nothing_more(folder: Path, doors: Doors) -> None:
    pki = doors.alpha.pki
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(pki / "docker-ca.crt")
        session.cert = (str(pki / "launcher.pem"), str(pki / "launcher.pem.key"))
        url = f"https://{ADDRESSES['beta']}:{doors.docker_port}/v1.41/_ping"
        assert session.get(url, timeout=10).status_code == 200
        # The session keeps its connection; only what a new one would need is taken away.
        connection = session.get_adapter(url).get_connection_with_tls_context(
            requests.Request("GET", url).prepare(), session.verify, cert=session.cert
        )
        assert connection.num_connections == 1
        operate(folder, "revoke", "alpha/launcher")
        try:
            answer = session.get(url, timeout=10).status_code
        except requests.RequestException:
            answer = 0
        assert answer in (0, 503) or connection.num_connections == 2


@pytest.mark.parametrize(
    ("name", "host", "options"), [("gateway", "beta", ETL), ("beta/mesh-client", "alpha", DB)]
)
def test_an_open_connection_of_a_revoked_identity_ends(
    folder: Path, doors: Doors, copy_of_the_store: Path, name: str, host: str, options: tuple[str, ...]
) -> None:
    owner, leaf = ("beta", "mesh-client") if "/" in name else ("alpha", name)
    stolen = copy_of_the_store / f"hosts/{owner}/{leaf}.pem"
    thief = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{ADDRESSES[host]}:{doors.mesh_port}", "-cert", str(stolen),
         "-key", f"{stolen}.key", "-tls1_3", "-quiet", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert thief.stdin and thief.stdout
        thief.stdin.write(HELLO[name])
        thief.stdin.flush()
        assert thief.stdout.read(1)
        assert thief.poll() is None
        operate(folder, "revoke", name)
        assert thief.wait(timeout=30) is not None
        assert "certificate revoked" in handshake(doors, host, stolen, docker=False, options=options)
    finally:
        thief.kill()
        thief.wait(timeout=10)


HELLO = {
    # HTTP/2's first words, which gRPC answers with its settings.
    "gateway": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)),
    # PostgreSQL's question for TLS, which it answers with N.
    "beta/mesh-client": bytes((0, 0, 0, 8, 4, 210, 22, 47)),
}


def test_what_was_never_issued_cannot_be_revoked(folder: Path) -> None:
    before = (folder / ".dagfleet/pki/docker/ca.crl").read_bytes()
    with pytest.raises(ConfigurationError, match='no certificate is called "lancher"') as raised:
        operate(folder, "revoke", "lancher")
    assert raised.value.fix == 'did you mean "launcher"?'
    assert (folder / ".dagfleet/pki/docker/ca.crl").read_bytes() == before

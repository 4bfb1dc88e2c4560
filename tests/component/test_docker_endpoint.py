"""The operator's client trusts the fleet's own authority and nothing that the environment says."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.image import docker_endpoint
from dagfleet.image.endpoint import Identity
from dagfleet.pki import Authorities
from dagfleet.pki.names import common_name
from docker.errors import DockerException
from requests.exceptions import RequestException

PASSPHRASE = "a passphrase"
FLEET = """\
version: 1
name: lab
dagster: {{version: "1.13.27"}}
control: {{host: alpha, web: {{hostname: dagster.lab, users: "secret://web_users"}}}}
hosts: {{alpha: {{address: 10.0.0.1, docker_port: {port}}}}}
secrets: {{web_users: {{generated: {{users: [demo]}}}}}}
"""


class Docker(BaseHTTPRequestHandler):
    """Says as whom it knows the caller."""

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        subject = x509.load_der_x509_certificate(self.connection.getpeercert(binary_form=True) or b"").subject
        body = json.dumps({"caller": common_name(subject)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def serve(authorities: Authorities, address: str, folder: Path) -> ThreadingHTTPServer:
    spec = CertificateSpec(
        name="docker-server", host="alpha", authority="docker", common_name="alpha",
        ip_addresses=(address,), usage="server",
    )  # fmt: skip
    key, certificate = authorities.issue(spec, 1)
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(cadata=authorities.certificate("docker").decode())
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Docker)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(params=["127.0.0.1"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    authorities = Authorities.create(tmp_path / ".dagfleet" / "pki", "lab", PASSPHRASE, 10)
    running = serve(authorities, request.param, tmp_path)
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def fleet_file(server: ThreadingHTTPServer, tmp_path: Path) -> FleetFile:
    (tmp_path / "fleet.yml").write_text(FLEET.format(port=server.server_address[1]))
    loaded = load_fleet(tmp_path / "fleet.yml")
    # A fleet cannot have a host on a loopback address; this test can have no other.
    alpha = loaded.fleet.hosts["alpha"].model_copy(update={"address": "127.0.0.1"})
    return FleetFile(path=loaded.path, fleet=loaded.fleet.model_copy(update={"hosts": {"alpha": alpha}}))


def unlock(fleet_file: FleetFile) -> Authorities:
    return Authorities.load(fleet_file.state / "pki").unlock(PASSPHRASE)


@pytest.mark.parametrize("identity", ["reader", "launcher"])
def test_an_identity_is_issued_and_shown_to_the_host(fleet_file: FleetFile, identity: Identity) -> None:
    client = docker_endpoint(fleet_file, "alpha", identity, unlock=lambda: unlock(fleet_file), timeout=5)

    assert client.version()["caller"] == identity
    client.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_in_the_environment_changes_nothing(
    fleet_file: FleetFile, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "of-the-company.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    client = docker_endpoint(fleet_file, "alpha", "reader", unlock=lambda: unlock(fleet_file), timeout=5)

    assert client.version()["caller"] == "reader"
    client.close()


@pytest.mark.parametrize("server", ["127.0.0.2"], indirect=True)
def test_a_host_that_is_not_whom_we_asked_for_is_refused(fleet_file: FleetFile) -> None:
    client = docker_endpoint(fleet_file, "alpha", "reader", unlock=lambda: unlock(fleet_file), timeout=5)

    with pytest.raises((RequestException, DockerException), match=r"not valid for .127"):
        client.ping()
    client.close()


def test_making_a_client_connects_nothing(fleet_file: FleetFile, server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()

    docker_endpoint(fleet_file, "alpha", "reader", unlock=lambda: unlock(fleet_file)).close()

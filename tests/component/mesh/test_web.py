"""The web UI: no plain HTTP, a login for every path, and a user's name that only HAProxy writes."""

import base64
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.component.mesh.conftest import ADDRESSES, Mesh

ADA = "ada:correct horse"


class _Dagster(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=")
            self.end_headers()
            self.wfile.write(self.rfile.readline())
            self.close_connection = True
            return
        body = json.dumps(self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """HAProxy closes idle connections as it likes."""


@pytest.fixture(scope="module", autouse=True)
def dagster(mesh: Mesh) -> Iterator[socketserver.BaseServer]:
    with _Server(("127.0.0.1", mesh.ports["dagster"]), _Dagster) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _ask(mesh: Mesh, login: str | None, path: str = "/", method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPSConnection(ADDRESSES["alpha"], mesh.ports["web"], context=mesh.tls(None), timeout=10)
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    connection.request(
        method, path, headers={name.replace("__", "-"): value for name, value in headers.items()}
    )
    return connection.getresponse()


def _seen_by_dagster(response: HTTPResponse) -> list[tuple[str, str]]:
    assert response.status == 200
    return [(name.lower(), value) for name, value in json.loads(response.read())]


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/static/x.js", "//", "/%2e"])
@pytest.mark.parametrize("login", [None, "ada:wrong", "nobody:correct horse", "grace:$5$salt"])
def test_without_a_login_there_is_nothing(mesh: Mesh, login: str | None, path: str) -> None:
    answer = _ask(mesh, login, path)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(("login", "user"), [(ADA, "ada"), ("grace:secret", "grace")])
def test_dagster_is_told_who_logged_in_and_not_the_password(mesh: Mesh, login: str, user: str) -> None:
    seen = _seen_by_dagster(_ask(mesh, login))

    assert [value for name, value in seen if name == "x-dagfleet-user"] == [user]
    assert "authorization" not in dict(seen)
    assert dict(seen)["x-forwarded-proto"] == "https"


def test_a_name_that_a_client_gives_itself_never_arrives(mesh: Mesh) -> None:
    claims = {"X__Dagfleet__User": "root", "x__dagfleet__user": "root", "X_Dagfleet_User": "root"}
    seen = _seen_by_dagster(_ask(mesh, ADA, X__Forwarded__For="10.0.0.1", **claims))

    assert [value for name, value in seen if name.replace("_", "-") == "x-dagfleet-user"] == ["ada"]
    assert [value for name, value in seen if name == "x-forwarded-for"] == ["127.0.0.1"]


def test_browsers_are_told_to_come_back_by_https_only(mesh: Mesh) -> None:
    assert all("max-age" in _ask(mesh, login).headers["Strict-Transport-Security"] for login in (None, ADA))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://dagster.test", "Host": "dagster.test"}, 200),
        ({"Origin": "https://evil.test", "Host": "dagster.test"}, 403),
        ({"Origin": "null", "Host": "dagster.test"}, 403),
        ({"Sec__Fetch__Site": "cross-site", "Sec__Fetch__Mode": "no-cors"}, 403),
        ({"Sec__Fetch__Site": "cross-site", "Sec__Fetch__Mode": "navigate"}, 200),
        ({"Sec__Fetch__Site": "same-origin", "Sec__Fetch__Mode": "cors"}, 200),
    ],
)
def test_other_sites_cannot_use_a_browsers_login(mesh: Mesh, headers: dict[str, str], status: int) -> None:
    assert _ask(mesh, ADA, "/graphql", "POST", **headers).status == status


def test_a_websocket_passes(mesh: Mesh) -> None:
    credentials = base64.b64encode(ADA.encode()).decode()
    with mesh.connection("alpha", "web", None) as connection:
        connection.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n".encode()
        )
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        connection.sendall(b"hello\n")
        assert connection.recv(16) == b"hello\n"


def test_plain_http_is_not_offered(mesh: Mesh) -> None:
    with socket.create_connection((ADDRESSES["alpha"], mesh.ports["web"]), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"HTTP" not in connection.recv(64)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(mesh: Mesh) -> None:
    context = mesh.tls(None)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = HTTPSConnection(ADDRESSES["alpha"], mesh.ports["web"], context=context, timeout=5)
    with pytest.raises(OSError, match=r"version|protocol|alert|cipher"):
        connection.connect()


@pytest.mark.parametrize(
    ("asked", "shown"), [(None, "dagster.test"), ("dagster.test", "dagster.test"), ("alpha", "alpha")]
)
def test_people_see_the_given_certificate_and_the_operators_commands_the_fleets_own(
    mesh: Mesh, asked: str | None, shown: str
) -> None:
    with mesh.connection("alpha", "web", None, name=asked) as connection:
        certificate = connection.getpeercert()
    assert certificate
    assert certificate["subject"] == ((("commonName", shown),),)


class _AcmeClient(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"answer to {self.path}".encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/.well-known/acme-challenge/Zm9v_-1", 200),
        ("GET", "/.well-known/acme-challenge/../../graphql", 404),
        ("GET", "/.well-known/acme-challenge/", 404),
        ("POST", "/.well-known/acme-challenge/Zm9v", 404),
        ("GET", "/", 404),
        ("GET", "/graphql", 404),
    ],
)
def test_only_acmes_challenges_are_answered_without_tls(
    mesh: Mesh, method: str, path: str, status: int
) -> None:
    with _Server(("127.0.0.1", mesh.ports["challenges"]), _AcmeClient) as client:
        threading.Thread(target=client.serve_forever, daemon=True).start()
        connection = HTTPConnection(ADDRESSES["alpha"], mesh.ports["acme"], timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == status
        assert (answer.read() == f"answer to {path}".encode()) == (status == 200)
        connection.close()
        client.shutdown()

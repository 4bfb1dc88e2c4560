"""A real HTTPS server with the fleet's own authority, on loopback."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dagfleet.control.login import Login, login
from dagfleet.control.session import Endpoint, Session, WebError
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

LOGIN = Login("demo", "pass word")


class Web(BaseHTTPRequestHandler):
    """Asks for a login, then echoes."""

    def do_POST(self) -> None:
        expected = "Basic " + base64.b64encode(f"{LOGIN.user}:{LOGIN.password}".encode()).decode()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != expected:
            self._answer(401, {})
        elif body["query"] == "broken":
            self._answer(200, {"errors": [{"message": "Cannot query field"}]})
        elif body["query"] == "starting":
            self._answer(503, {})
        else:
            self._answer(200, {"data": {"host": self.headers["Host"], "variables": body["variables"]}})

    def do_GET(self) -> None:
        self._answer(200 if self.headers.get("Authorization") else 401, {})

    def log_message(self, *args: object) -> None:
        del args

    def _answer(self, status: int, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="module")
def authorities(pki: Path) -> Authorities:
    return Authorities.create(pki, "prod", "a passphrase", 10)


@pytest.fixture(scope="module")
def port(pki: Path, authorities: Authorities) -> Iterator[int]:
    spec = CertificateSpec(
        name="web", host="alpha", authority="mesh", common_name="dagster.test",
        dns_names=("dagster.test",), ip_addresses=("127.0.0.1",), usage="server",
    )  # fmt: skip
    key, certificate = authorities.issue(spec, 90)
    (pki / "web.pem").write_bytes(key + certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "web.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(pki: Path, port: int) -> Endpoint:
    return Endpoint("127.0.0.1", port, "dagster.test", pki / "mesh" / "ca.crt")


def test_questions_are_answered_over_verified_tls(endpoint: Endpoint) -> None:
    answer = Session(endpoint, LOGIN).query("hosts", {"limit": 3})
    assert answer == {"host": f"dagster.test:{endpoint.port}", "variables": {"limit": 3}}


def test_bundles_and_proxies_in_the_environment_have_no_say(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert Session(endpoint, LOGIN).query("hosts")


def test_a_strangers_certificate_is_refused(
    endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("other")
    Authorities.create(folder, "other", "a passphrase", 10)
    stranger = Endpoint(endpoint.address, endpoint.port, endpoint.hostname, folder / "mesh" / "ca.crt")
    with pytest.raises(WebError, match=r"does not prove to be dagster\.test"):
        Session(stranger, LOGIN).query("hosts")


def test_a_certificate_for_another_name_is_refused(endpoint: Endpoint) -> None:
    other = Endpoint(endpoint.address, endpoint.port, "elsewhere.test", endpoint.authority)
    with pytest.raises(WebError, match=r"does not prove to be elsewhere\.test"):
        Session(other, LOGIN).query("hosts")


def test_a_refused_login_says_whose(endpoint: Endpoint) -> None:
    with pytest.raises(WebError, match="refused mallory's password"):
        Session(endpoint, Login("mallory", "guess")).query("hosts")


def test_a_visitor_without_a_login_is_told_so(endpoint: Endpoint) -> None:
    with pytest.raises(WebError, match="wants a login"):
        Session(endpoint, None).query("hosts")


def test_what_a_visitor_gets_is_seen_even_when_logged_in(endpoint: Endpoint) -> None:
    assert Session(endpoint, LOGIN).anonymous_status() == 401


def test_nobody_there_is_said_in_one_sentence(endpoint: Endpoint) -> None:
    gone = Endpoint("127.0.0.1", 1, endpoint.hostname, endpoint.authority)
    with pytest.raises(WebError) as refused:
        Session(gone, LOGIN).query("hosts")
    assert refused.value.message == "the web UI at 127.0.0.1:1 does not answer: Connection refused"


def test_a_server_that_starts_is_told_apart(endpoint: Endpoint) -> None:
    with pytest.raises(WebError, match="answered 503"):
        Session(endpoint, LOGIN).query("starting")


def test_a_question_dagster_refuses_is_quoted(endpoint: Endpoint) -> None:
    with pytest.raises(WebError, match="Cannot query field"):
        Session(endpoint, LOGIN).query("broken")


def test_the_first_user_with_a_password_in_clear_logs_in() -> None:
    users = "ops:$6$salt$hash\n\ndemo:secret:with:colons\nlast:other\n"
    assert login(users, environ={}) == Login("demo", "secret:with:colons")


def test_the_environment_names_another_user() -> None:
    assert login("demo:secret", environ={"DAGFLEET_WEB_LOGIN": "ops:mine"}) == Login("ops", "mine")


def test_hashes_alone_let_nobody_in() -> None:
    assert login("ops:$6$salt$hash", environ={}) is None


def test_passwords_do_not_show_in_tracebacks() -> None:
    assert "secret" not in repr(Login("demo", "secret"))

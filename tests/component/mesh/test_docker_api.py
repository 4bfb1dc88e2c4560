"""What passes to dockerd, by identity, method and path: seen by an HTTP server in dockerd's place."""

import http.client
import threading
from collections.abc import Iterator

import pytest

from tests.component.mesh.conftest import ADDRESSES, Mesh
from tests.component.mesh.dockerd import Dockerd

READS = (
    "/_ping", "/version", "/v1.41/info", "/events?since=1", "/v1.41/containers/json?all=1",
    "/containers/etl_1.x/json", "/containers/0a1b/logs?follow=1&stdout=1", "/images/json",
    "/images/registry.test:5000/etl:1.4/json", "/images/etl%40sha256:0a1b/json",
    "/networks", "/v1.41/networks/dagfleet",
)  # fmt: skip
LOOKS = (
    "/containers/run/stats?stream=0", "/containers/run/changes", "/images/registry.test/etl:1/history",
    "/v1.41/system/df", "/volumes", "/volumes/data",
)  # fmt: skip
CHANGES = (
    ("POST", "/v1.41/containers/create?name=run"), ("POST", "/containers/run/start"),
    ("POST", "/containers/run/stop?t=1"), ("POST", "/containers/run/kill"),
    ("POST", "/containers/run/wait"), ("DELETE", "/containers/run?force=1"),
    ("POST", "/networks/dagfleet/connect"),
    ("POST", "/images/create?fromImage=python&tag=3.11"), ("POST", "/v1.41/images/load"),
)  # fmt: skip
FORBIDDEN = (
    ("POST", "/containers/run/exec"), ("POST", "/exec/0a1b/start"), ("POST", "/containers/run/attach"),
    ("GET", "/containers/run/attach/ws"), ("GET", "/containers/run/archive?path=/etc"),
    ("PUT", "/containers/run/archive"), ("GET", "/containers/run/export"), ("GET", "/images/get?names=etl"),
    ("GET", "/images/etl/get"), ("POST", "/build"), ("POST", "/commit?container=run"),
    ("POST", "/containers/prune"), ("POST", "/containers/run/update"), ("DELETE", "/images/etl"),
    ("POST", "/images/prune"), ("POST", "/networks/create"), ("DELETE", "/networks/dagfleet"),
    ("POST", "/volumes/create"), ("DELETE", "/volumes/data"), ("POST", "/swarm/init"), ("GET", "/swarm"),
    ("POST", "/plugins/pull"), ("GET", "/secrets"), ("POST", "/session"), ("POST", "/grpc"),
    ("POST", "/auth"), ("PATCH", "/containers/run/start"), ("OPTIONS", "*"), ("GET", "/"),
    ("GET", "/metrics"), ("GET", "/debug/pprof/"), ("GET", "/containers/run/top?ps_args=eww"),
    ("GET", "/distribution/library/python:3.11/json"), ("GET", "/images/search?term=x"),
    ("POST", "/networks/dagfleet/disconnect"), ("POST", "/containers/run/resize"),
    ("GET", "/swarm/unlockkey"), ("POST", "/containers/run/rename?name=x"),
    ("POST", "/images/etl/push"), ("POST", "/images/etl/tag"),
    ("HEAD", "/containers/run/archive?path=/etc"), ("CONNECT", "/containers/json"), ("TRACE", "/version"),
    ("get", "/version"), ("DELETE", "/containers/run/archive"), ("PRI", "*"),
)  # fmt: skip
TRICKS = (
    "/v1.41//containers/json", "//containers/json", "/containers/../images/json", "/containers/%2e%2e/json",
    "/./containers/json", "/v1.41/v1.41/containers/json", "/V1.41/containers/json", "/v1/containers/json",
    "/Containers/json", "/containers/JSON", "/containers/a%2Fb/json", "/containers%2fjson", "/%76ersion",
    "/containers/json/", "/containers/a/b/json", "/containers/json;x", "/containers/a%00/json",
    "/containers/json%20", "/containers\\json", "http://dockerd/containers/json",
    "/containers/run/json/../archive", "/images/../containers/run/archive/json",
)  # fmt: skip


@pytest.fixture(scope="module")
def dockerd(mesh: Mesh) -> Iterator[Dockerd]:
    with Dockerd(mesh.directory / "docker.sock") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _ask(mesh: Mesh, identity: str, method: str, path: str, **headers: str) -> int:
    """Send a request whose path goes out exactly as it is written here; return the status."""
    lines = [f"{method} {path} HTTP/1.1", "Host: docker", "Content-Length: 0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return _send(mesh, identity, "\r\n".join([*lines, "", ""]).encode())


def _send(mesh: Mesh, identity: str, request: bytes) -> int:
    with mesh.connection("beta", "docker", identity, authority="docker") as connection:
        connection.sendall(request)
        return int(connection.recv(64).split()[1])


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("identity", ["reader", "launcher"])
def test_both_identities_read(mesh: Mesh, dockerd: Dockerd, identity: str, path: str) -> None:
    assert _ask(mesh, identity, "GET", path) == 200
    assert dockerd.seen[-1] == ("GET", path)


@pytest.mark.parametrize("path", LOOKS)
def test_only_the_reader_looks_around(mesh: Mesh, dockerd: Dockerd, path: str) -> None:
    assert _ask(mesh, "reader", "GET", path) == 200
    before = len(dockerd.seen)
    assert _ask(mesh, "launcher", "GET", path) == 403
    assert len(dockerd.seen) == before


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_only_the_launcher_changes(mesh: Mesh, dockerd: Dockerd, method: str, path: str) -> None:
    assert _ask(mesh, "launcher", method, path) == 200
    assert dockerd.seen[-1] == (method, path)
    before = len(dockerd.seen)
    assert _ask(mesh, "reader", method, path) == 403
    assert len(dockerd.seen) == before


@pytest.mark.parametrize(("method", "path"), [*FORBIDDEN, *(("GET", path) for path in TRICKS)])
def test_nothing_else_reaches_dockerd(mesh: Mesh, dockerd: Dockerd, method: str, path: str) -> None:
    before = len(dockerd.seen)
    assert {_ask(mesh, identity, method, path) for identity in ("reader", "launcher")} <= {400, 403, 405}
    assert len(dockerd.seen) == before


@pytest.mark.parametrize(
    "headers",
    [{"Upgrade": "tcp", "Connection": "Upgrade"}, {"Upgrade": "h2c"}, {"Connection": "keep-alive, UPGRADE"}],
)
def test_a_connection_cannot_be_hijacked(mesh: Mesh, dockerd: Dockerd, headers: dict[str, str]) -> None:
    before = len(dockerd.seen)
    assert _ask(mesh, "launcher", "POST", "/containers/run/start", **headers) == 403
    assert len(dockerd.seen) == before


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0"])
def test_old_and_invented_versions_are_refused(mesh: Mesh, dockerd: Dockerd, version: str) -> None:
    before = len(dockerd.seen)
    assert _send(mesh, "launcher", f"GET /version {version}\r\nHost: docker\r\n\r\n".encode()) in {
        400,
        403,
        505,
    }
    assert len(dockerd.seen) == before


@pytest.mark.parametrize("identity", ["beta", "gateway"])
def test_identities_of_the_mesh_are_no_identities_here(mesh: Mesh, dockerd: Dockerd, identity: str) -> None:
    before = len(dockerd.seen)
    with pytest.raises((OSError, IndexError)):
        _ask(mesh, identity, "GET", "/version")
    assert len(dockerd.seen) == before


def test_a_large_image_streams_through(mesh: Mesh, dockerd: Dockerd) -> None:
    before, chunk = dockerd.received, bytes(1 << 20)
    context = mesh.tls("launcher", authority="docker")
    connection = http.client.HTTPSConnection(
        ADDRESSES["beta"], mesh.ports["docker"], context=context, timeout=20
    )
    body = (chunk for _ in range(64))
    connection.request(
        "POST", "/images/load", body=body, headers={"Transfer-Encoding": "chunked"}, encode_chunked=True
    )
    assert connection.getresponse().status == 200
    assert dockerd.received - before == 64 << 20


@pytest.mark.usefixtures("dockerd")
def test_refusals_and_changes_are_logged_and_reading_is_not(mesh: Mesh) -> None:
    _ask(mesh, "reader", "POST", "/containers/logged/kill?signal=TERM")
    _ask(mesh, "launcher", "POST", "/containers/logged/stop")
    _ask(mesh, "reader", "GET", "/containers/quiet/json")
    log = mesh.log("beta")

    assert 'identity="reader" POST "/containers/logged/kill" 403' in log
    assert 'identity="launcher" POST "/containers/logged/stop" 200' in log
    assert "/containers/quiet/json" not in log

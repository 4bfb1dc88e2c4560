"""No request reaches dockerd inside another one: each attack goes out byte by byte as written."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.component.mesh.conftest import Mesh
from tests.component.mesh.dockerd import Dockerd, Request
from tests.component.mesh.smuggling import attacks

ATTACKS = attacks()
PIPELINED = "two requests that are both allowed"


@pytest.fixture(scope="module")
def seen(mesh: Mesh) -> Iterator[dict[str, list[Request]]]:
    """What reached dockerd of each attack, after all were made at once."""
    start = b"POST /containers/pipelined/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
    everything = {**ATTACKS, PIPELINED: ("pipelined", start * 2)}
    with Dockerd(mesh.directory / "docker.sock") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with ThreadPoolExecutor(len(everything)) as pool:
            list(pool.map(lambda attack: _send(mesh, attack[1]), everything.values()))
        yield {
            name: [request for request in server.seen if request[1].split("/")[2:3] == [container]]
            for name, (container, _) in everything.items()
        }
        server.shutdown()


def _send(mesh: Mesh, request: bytes) -> None:
    """Send it and take every answer, until nothing more comes for a while."""
    with mesh.connection("beta", "docker", "launcher", authority="docker") as connection:
        connection.sendall(request)
        connection.settimeout(3)
        try:
            while connection.recv(4096):
                pass
        except OSError:
            return


def test_what_may_pass_twice_on_one_connection_is_seen_twice(seen: dict[str, list[Request]]) -> None:
    assert seen[PIPELINED] == [("POST", "/containers/pipelined/start")] * 2


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_hides_in_a_request(seen: dict[str, list[Request]], attack: str) -> None:
    container, _ = ATTACKS[attack]
    assert seen[attack] in ([], [("POST", f"/containers/{container}/start")])

"""Only the gateway reaches a code server, by its location's name, and a second one stands by."""

import os
import signal
import time

import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

from tests.component.mesh.conftest import ADDRESSES, Mesh

SETTINGS = 4


def test_the_gateway_reaches_a_code_server_that_answers_dagsters_own_client(mesh: Mesh) -> None:
    client = _client_behind_the_first(mesh)

    assert client.ping("over the mesh")["echo"] == "over the mesh"
    assert '"attribute": "defs"' in client.list_repositories()


def test_the_gateway_gets_http2_and_names_decide_which_location(mesh: Mesh) -> None:
    assert mesh.greeting("beta", "gateway", "etl.grpc.dagfleet")[3] == SETTINGS
    assert mesh.greeting("gamma", "gateway", "other.grpc.dagfleet")[3] == SETTINGS


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        pytest.param("gateway", "other.grpc.dagfleet", id="a location that this host does not have"),
        pytest.param("gateway", "db.dagfleet", id="the database where it is not"),
        pytest.param("gateway", "beta", id="the host's own name"),
        pytest.param("gateway", None, id="no name"),
        pytest.param("beta", "etl.grpc.dagfleet", id="a host's identity"),
        pytest.param(None, "etl.grpc.dagfleet", id="no certificate"),
    ],
)
def test_anything_else_is_refused(mesh: Mesh, identity: str | None, name: str | None) -> None:
    assert mesh.greeting("beta", identity, name) == b""


def test_a_gateway_of_another_authority_is_refused(mesh: Mesh) -> None:
    assert mesh.greeting("beta", "gateway", "etl.grpc.dagfleet", store="stranger") == b""


def test_a_certificate_of_the_docker_authority_is_refused(mesh: Mesh) -> None:
    assert mesh.greeting("beta", "launcher", "etl.grpc.dagfleet") == b""


def test_a_refusal_is_logged_with_identity_and_name(mesh: Mesh) -> None:
    mesh.greeting("beta", "beta", "etl.grpc.dagfleet")

    assert 'identity="beta" alpn="" sni="etl.grpc.dagfleet"' in mesh.log("beta")


def test_the_second_code_server_takes_over_when_the_first_dies(mesh: Mesh) -> None:
    client = _client_behind_the_first(mesh)
    second = DagsterGrpcClient(host="127.0.0.1", port=mesh.ports["code-gamma"]).get_server_id()
    os.killpg(mesh.code_servers["beta"].pid, signal.SIGKILL)

    _wait_until_it_answers(client, second, seconds=8)


def _client_behind_the_first(mesh: Mesh) -> DagsterGrpcClient:
    """Return a client of the egress, once health checks have seen the code server that goes first."""
    client = DagsterGrpcClient(host=ADDRESSES["alpha"], port=mesh.ports["etl"])
    first = DagsterGrpcClient(host="127.0.0.1", port=mesh.ports["code-beta"]).get_server_id()
    _wait_until_it_answers(client, first, seconds=15)
    return client


def _wait_until_it_answers(client: DagsterGrpcClient, server: str, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _server_id(client) != server:
        assert time.monotonic() < deadline, f"it does not answer within {seconds} s"
        time.sleep(0.1)


def _server_id(client: DagsterGrpcClient) -> str | None:
    try:
        return client.get_server_id(timeout=2)
    except DagsterUserCodeUnreachableError:
        return None

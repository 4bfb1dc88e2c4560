"""Large, streaming and long-lived calls behave over the mesh as they do without it."""

import socket
import threading
import time

import grpc
import pytest
from dagster._grpc.__generated__ import dagster_api_pb2 as messages
from dagster._grpc.__generated__.dagster_api_pb2_grpc import DagsterApiStub
from dagster._grpc.client import DagsterGrpcClient

from tests.component.mesh.conftest import ADDRESSES, Mesh

MEGABYTE = 1 << 20
# The mesh's shortest limits are those of a connection attempt and of a health check.
LONGER_THAN_ANY_SHORT_LIMIT = 7


@pytest.fixture
def client(mesh: Mesh) -> DagsterGrpcClient:
    return DagsterGrpcClient(host=ADDRESSES["alpha"], port=mesh.ports["etl"])


@pytest.mark.parametrize("megabytes", [1, 40])
def test_a_large_answer_to_a_large_question_arrives_whole(client: DagsterGrpcClient, megabytes: int) -> None:
    text = "".join(f"{number:07d} " for number in range(megabytes * MEGABYTE // 8))

    assert client.ping(text)["echo"] == text


def test_a_stream_arrives_in_order_and_whole(client: DagsterGrpcClient) -> None:
    text = "x" * 200_000
    answers = list(client.streaming_ping(sequence_length=200, echo=text))

    assert [answer["sequence_number"] for answer in answers] == list(range(200))
    assert all(answer["echo"] == text for answer in answers)


def test_many_calls_share_a_channel(mesh: Mesh) -> None:
    with grpc.insecure_channel(f"{ADDRESSES['alpha']}:{mesh.ports['etl']}") as channel:
        stub = DagsterApiStub(channel)
        calls = [
            stub.Ping.future(messages.PingRequest(echo=str(number)), timeout=30) for number in range(100)
        ]

        assert [call.result().echo for call in calls] == [str(number) for number in range(100)]


def test_an_idle_channel_stays(mesh: Mesh) -> None:
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(f"{ADDRESSES['alpha']}:{mesh.ports['etl']}") as channel:
        stub = DagsterApiStub(channel)
        assert stub.Ping(messages.PingRequest(echo="early"), timeout=30).echo == "early"
        channel.subscribe(states.append)
        threading.Event().wait(LONGER_THAN_ANY_SHORT_LIMIT)
        assert stub.Ping(messages.PingRequest(echo="late"), timeout=30).echo == "late"

        assert set(states) == {grpc.ChannelConnectivity.READY}
        assert all(limit.startswith(("6d", "7d")) for limit in _idle_limits(mesh))


def _idle_limits(mesh: Mesh) -> list[str]:
    """Return how long HAProxy still waits for a word on each connection to the code server."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(mesh.directory / "alpha.sock"))
        admin.sendall(b"show sess\n")
        told = b""
        deadline = time.monotonic() + 10
        while (more := admin.recv(65536)) and time.monotonic() < deadline:
            told += more
    lines = [line for line in told.decode().splitlines() if "fe=grpc-etl" in line]
    assert lines, told
    return [
        part.removeprefix("rx=")
        for line in lines
        for part in line.replace("[", ",").replace("]", ",").split(",")
        if part.startswith("rx=") and part != "rx="
    ]

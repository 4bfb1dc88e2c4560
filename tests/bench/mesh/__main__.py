"""`make bench-mesh`: gRPC, Docker and SQL over the mesh, and Docker over SSH, beside plain loopback. The last
line is JSON.

Real HAProxies, dockerd, code server, PgBouncer and PostgreSQL on one machine: trust the ratios.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import grpc
import psycopg2
from dagster._grpc.__generated__ import dagster_api_pb2 as messages
from dagster._grpc.__generated__.dagster_api_pb2_grpc import DagsterApiStub

from tests.bench.mesh.docker_calls import Calls
from tests.bench.mesh.launcher_client import hosts_by_way, launcher_calls
from tests.bench.mesh.runs import Crowd, crowd
from tests.bench.mesh.timing import Comparison, compare, rate
from tests.component.mesh.conftest import ADDRESSES, Mesh, running_mesh
from tests.component.postgres.conftest import PASSWORDS, running_storage

DOCKER_SOCKET = Path("/var/run/docker.sock")
RUNS = 200
Connect = Callable[[], "psycopg2.extensions.connection"]


def main() -> None:
    """Measure, print a table, end with a line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench-mesh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    times = 50 if parser.parse_args().quick else 500
    with (
        tempfile.TemporaryDirectory(prefix="dagfleet-bench-mesh-") as folder,
        running_storage({"dagster": RUNS, "warehouse": 1}) as storage,
        running_mesh(Path(folder), postgres=storage.port) as mesh,
    ):
        (mesh.directory / "docker.sock").symlink_to(DOCKER_SOCKET)
        direct, through = (
            _connect("127.0.0.1", storage.port),
            _connect(ADDRESSES["beta"], mesh.ports["database"]),
        )
        with hosts_by_way(mesh, DOCKER_SOCKET, Path(folder) / "ssh") as hosts:
            by_launcher = [*launcher_calls(hosts, times)]
        comparisons = [
            *_grpc(mesh, times),
            *_docker(mesh, times),
            *by_launcher,
            *_sql(direct, through, times),
        ]
        rates = {
            "TLS handshakes": rate(lambda: _handshake(mesh), times / 100),
            "SQL connections": rate(lambda: through().close(), times / 100),
            "SQL connections, plain": rate(lambda: direct().close(), times / 100),
        }
        crowds = {
            name: crowd(connect, clients=RUNS, seconds=times / 25)
            for name, connect in {"plain": direct, "mesh": through}.items()
        }
    _print(comparisons, rates, crowds)


def _grpc(mesh: Mesh, times: int) -> Iterator[Comparison]:
    places = {"plain": ("127.0.0.1", "code-beta"), "mesh": (ADDRESSES["alpha"], "etl")}
    urls = {way: f"{address}:{mesh.ports[port]}" for way, (address, port) in places.items()}
    with grpc.insecure_channel(urls["plain"]) as plain, grpc.insecure_channel(urls["mesh"]) as over:
        for name, echo in {"gRPC ping": "ping", "gRPC ping of 1 MiB": "x" * (1 << 20)}.items():
            channels = {"plain": plain, "mesh": over}
            yield compare(
                name,
                {way: partial(_ping, DagsterApiStub(channel), echo) for way, channel in channels.items()},
                times=times,
            )


def _ping(stub: DagsterApiStub, echo: str) -> None:
    # Waits while health checks have not seen the code server yet.
    stub.Ping(messages.PingRequest(echo=echo), timeout=60, wait_for_ready=True)


def _docker(mesh: Mesh, times: int) -> Iterator[Comparison]:
    kept = {"plain": Calls.plain(DOCKER_SOCKET), "mesh": Calls.mesh(mesh)}
    try:
        yield compare("Docker call", {way: each.list_containers for way, each in kept.items()}, times=times)
    finally:
        for each in kept.values():
            each.close()

    def fresh(make: Callable[[], Calls]) -> None:
        with closing(make()) as calls:
            calls.ping()

    yield compare(
        "Docker ping, new connection",
        {
            "plain": lambda: fresh(lambda: Calls.plain(DOCKER_SOCKET)),
            "mesh": lambda: fresh(lambda: Calls.mesh(mesh)),
        },
        times=times,
    )  # fmt: skip


def _sql(direct: Connect, through: Connect, times: int) -> Iterator[Comparison]:
    with closing(direct()) as plain, closing(through()) as over:
        cursors = {"plain": plain.cursor(), "mesh": over.cursor()}
        select = {way: partial(each.execute, "SELECT 1") for way, each in cursors.items()}
        yield compare("SQL statement", select, times=times)

    def fresh(connect: Connect) -> None:
        with closing(connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    yield compare(
        "SQL statement, new connection",
        {"plain": lambda: fresh(direct), "mesh": lambda: fresh(through)},
        times=times,
    )


def _connect(address: str, port: int) -> Connect:
    return lambda: psycopg2.connect(
        host=address, port=port, user="dagster", dbname="dagster", password=PASSWORDS["dagster"],
        sslmode="disable", gssencmode="disable", connect_timeout=60,
    )  # fmt: skip


def _handshake(mesh: Mesh) -> None:
    with mesh.connection("beta", "docker", "launcher", authority="docker") as connection:
        connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        connection.recv(64)


def _print(comparisons: list[Comparison], rates: dict[str, float], crowds: dict[str, Crowd]) -> None:
    print(f"{'':36}{'plain':>12}{'mesh':>12}{'ratio':>8}{'ssh':>12}{'ratio':>8}")
    for each in comparisons:
        ways = (
            f"{each.seconds[way] * 1e3:9.2f} ms{each.ratio(way):8.2f}"
            for way in each.seconds
            if way != "plain"
        )
        print(f"{each.name:36}{each.seconds['plain'] * 1e3:9.2f} ms{''.join(ways)}")
    print()
    for name, value in rates.items():
        print(f"{name:36}{value:9.0f} /s")
    print()
    for way, seen in crowds.items():
        print(
            f"{seen.clients} runs, {way:24}{seen.calls_a_second:6.0f} calls/s"
            f"   p50 {seen.percentile(50) * 1e3:.0f} ms   p99 {seen.percentile(99) * 1e3:.0f} ms"
            f"   {len(seen.errors)} errors"
        )
    print(json.dumps({
        "overhead": [
            {"name": each.name, **each.seconds,
             "ratios": {way: round(each.ratio(way), 3) for way in each.seconds if way != "plain"}}
            for each in comparisons
        ],
        "a_second": rates,
        "runs": {
            way: {"clients": seen.clients, "calls_a_second": seen.calls_a_second, "errors": len(seen.errors),
                  "p50": seen.percentile(50), "p99": seen.percentile(99)}
            for way, seen in crowds.items()
        },
    }))  # fmt: skip


if __name__ == "__main__":
    main()

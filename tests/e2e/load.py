"""Runs inside the control plane's container: constant gRPC, Docker and SQL calls until it is told to stop.

usage: python load.py STOP_FILE GRPC_PORT DOCKER_URL...; prints {loop: {done, failed}} as JSON at its end.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import docker
import psycopg2
from dagster._grpc.client import DagsterGrpcClient
from docker.tls import TLSConfig

CONTROL = Path("/etc/dagfleet/control")
PAUSE_SECONDS = 0.2
Attempt = Callable[[], object]


def new_grpc(port: int) -> Attempt:
    """A channel for each call."""
    return lambda: DagsterGrpcClient(host="gateway.mesh", port=port).ping("new")


def grpc_channel(port: int) -> Attempt:
    """One channel for all calls, as the web server has it."""
    client = DagsterGrpcClient(host="gateway.mesh", port=port)
    return lambda: client.ping("long-lived")


def docker_client(url: str) -> docker.DockerClient:
    """The launcher's own client."""
    tls = TLSConfig(
        client_cert=(str(CONTROL / "launcher.pem"), str(CONTROL / "launcher.pem.key")),
        ca_cert=str(CONTROL / "docker-ca.crt"),
        verify=True,
    )
    client = docker.DockerClient(base_url=url, tls=tls, version="1.41", timeout=20)
    client.api.trust_env = False
    return client


def new_docker(url: str) -> Attempt:
    """A connection for each call."""

    def once() -> None:
        client = docker_client(url)
        client.ping()
        client.close()

    return once


def connect() -> "psycopg2.extensions.connection":
    return psycopg2.connect(host="db.mesh", port=6432, user="dagster", dbname="dagster", connect_timeout=20)


def select(connection: "psycopg2.extensions.connection") -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("select 1")


def new_sql() -> None:
    connection = connect()
    select(connection)
    connection.close()


def sql_session() -> Attempt:
    """One session for all statements."""
    connection = connect()
    return lambda: select(connection)


def main(stop: Path, port: int, urls: list[str]) -> None:
    """Run every loop in a thread of its own."""
    loops: dict[str, Attempt] = {
        "new gRPC channels": new_grpc(port),
        "a gRPC channel": grpc_channel(port),
        "new SQL connections": new_sql,
        "a SQL session": sql_session(),
    }
    for url in urls:
        loops[f"new Docker connections to {url}"] = new_docker(url)
        loops[f"a Docker client of {url}"] = docker_client(url).ping
    counts: dict[str, dict[str, object]] = {}

    def loop(name: str, attempt: Attempt) -> None:
        done, failed = 0, []
        while not stop.exists():
            try:
                attempt()
                done += 1
            except Exception as error:
                failed.append(f"{time.strftime('%H:%M:%S')} {error!r}"[:300])
            time.sleep(PAUSE_SECONDS)
        counts[name] = {"done": done, "failed": failed}

    threads = [threading.Thread(target=loop, args=item) for item in loops.items()]
    for thread in threads:
        thread.start()
    stop.with_suffix(".started").touch()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

"""Constant load on the mesh: new and long-lived gRPC, Docker and SQL, each in a loop of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker
import grpc
import psycopg2
from docker.tls import TLSConfig

from tests.component.pki.loopback import ADDRESSES, Machine

PAUSE_SECONDS = 0.05


@dataclass
class Count:
    done: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Doors:
    """Where a client of alpha or beta finds what it uses, and the machine whose launcher it is."""

    alpha: Machine
    mesh_port: int
    grpc_port: int
    docker_port: int
    sql: dict[str, Any]

    @contextmanager
    def under_load(self) -> Iterator[dict[str, Count]]:
        """Keep all loops going meanwhile; afterwards the counts are final."""
        stop = threading.Event()
        loops: dict[str, Callable[[Callable[[], bool], Count], None]] = {
            "new gRPC calls": self._new_grpc,
            "a long-lived gRPC channel": self._grpc_channel,
            "a gRPC stream": self._grpc_stream,
            "new Docker connections": self._new_docker,
            "a Docker client": self._docker_client,
            "new SQL connections": self._new_sql,
            "a SQL session": self._sql_session,
        }
        counts = {name: Count() for name in loops}

        def guarded(name: str) -> None:
            try:
                loops[name](lambda: not stop.wait(PAUSE_SECONDS), counts[name])
            except Exception as error:
                counts[name].failed.append(f"ended: {error!r}")

        threads = [threading.Thread(target=guarded, args=(name,), daemon=True) for name in loops]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=30)

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"{ADDRESSES['alpha']}:{self.grpc_port}")

    def _new_grpc(self, going: Callable[[], bool], count: Count) -> None:
        while going():
            with self._channel() as channel:
                _attempt(count, lambda channel=channel: _echo(channel))

    def _grpc_channel(self, going: Callable[[], bool], count: Count) -> None:
        with self._channel() as channel:
            while going():
                _attempt(count, lambda: _echo(channel))

    def _grpc_stream(self, going: Callable[[], bool], count: Count) -> None:
        def words() -> Iterator[bytes]:
            while going():
                yield b"word"

        with self._channel() as channel:
            for answer in channel.stream_stream("/echo/stream")(words()):
                assert answer == b"word"
                count.done += 1

    def _docker(self) -> docker.DockerClient:
        folder = self.alpha.pki
        client = docker.DockerClient(
            base_url=f"tcp://{ADDRESSES['beta']}:{self.docker_port}",
            tls=TLSConfig(
                client_cert=(str(folder / "launcher.pem"), str(folder / "launcher.pem.key")),
                ca_cert=str(folder / "docker-ca.crt"),
                verify=True,
            ),
            version="1.41",
            timeout=10,
        )
        client.api.trust_env = False
        return client

    def _new_docker(self, going: Callable[[], bool], count: Count) -> None:
        while going():
            client = self._docker()
            _attempt(count, client.ping)
            client.close()

    def _docker_client(self, going: Callable[[], bool], count: Count) -> None:
        client = self._docker()
        while going():
            _attempt(count, client.ping)
        client.close()

    def _new_sql(self, going: Callable[[], bool], count: Count) -> None:
        def once() -> None:
            connection = psycopg2.connect(**self.sql, connect_timeout=10)
            _select(connection)
            connection.close()

        while going():
            _attempt(count, once)

    def _sql_session(self, going: Callable[[], bool], count: Count) -> None:
        connection = psycopg2.connect(**self.sql, connect_timeout=10)
        while going():
            _attempt(count, lambda: _select(connection))
        connection.close()


def _attempt(count: Count, call: Callable[[], object]) -> None:
    try:
        call()
        count.done += 1
    except Exception as error:
        count.failed.append(f"{time.strftime('%H:%M:%S')} {error!r}")


def _echo(channel: grpc.Channel) -> None:
    assert channel.unary_unary("/echo/once")(b"word", timeout=10) == b"word"


def _select(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)

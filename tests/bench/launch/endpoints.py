"""This machine's dockerd behind mutual TLS on several ports, as several hosts, and a host that is dark."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

_ADDRESS = "127.0.0.1"
_PROXY = """\
global
    maxconn 500
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
backend dockerd
    server dockerd unix@/var/run/docker.sock
"""
_DOOR = """\
frontend door{number}
    bind {address}:{port} ssl crt {folder}/server.pem ca-file {folder}/ca.pem verify required
    default_backend dockerd
"""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Ports with dockerd behind them, one with nothing, and the folder of ca.pem, cert.pem and key.pem."""

    ports: tuple[int, ...]
    dark_port: int
    certificates: Path


@contextmanager
def endpoints(folder: Path, count: int) -> Iterator[Endpoints]:
    """Serve `count` ports until the end of the block."""
    _issue(folder)
    ports = tuple(_free_port() for _ in range(count))
    doors = (
        _DOOR.format(number=number, address=_ADDRESS, port=port, folder=folder)
        for number, port in enumerate(ports)
    )
    (folder / "haproxy.cfg").write_text(_PROXY + "".join(doors))
    proxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", folder / "haproxy.cfg"])
    try:
        _wait(ports)
        with _dark() as dark_port:
            yield Endpoints(ports=ports, dark_port=dark_port, certificates=folder)
    finally:
        proxy.terminate()
        proxy.wait(30)


def _issue(folder: Path) -> None:
    authorities = Authorities.create(folder / "pki", "bench", "a passphrase", 1)
    (folder / "ca.pem").write_bytes(authorities.certificate("docker"))
    server = CertificateSpec(
        name="docker-server",
        host="bench",
        authority="docker",
        common_name="bench",
        dns_names=("localhost",),
        ip_addresses=(_ADDRESS,),
        usage="server",
    )
    client = CertificateSpec(
        name="launcher", host=None, authority="docker", common_name="launcher", usage="client"
    )
    key, certificate = authorities.issue(server, 1)
    (folder / "server.pem").write_bytes(certificate + key)
    key, certificate = authorities.issue(client, 1)
    (folder / "key.pem").write_bytes(key)
    (folder / "cert.pem").write_bytes(certificate)


def _free_port() -> int:
    with socket.create_server((_ADDRESS, 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(ports: tuple[int, ...]) -> None:
    deadline = time.monotonic() + 30
    for port in ports:
        while True:
            with suppress(OSError), socket.create_connection((_ADDRESS, port), timeout=5):
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"HAProxy does not listen on port {port}")
            time.sleep(0.05)


@contextmanager
def _dark() -> Iterator[int]:
    """Accept connections and read what comes, but never say a word: the worst kind of dead host."""
    listener = socket.create_server((_ADDRESS, 0))
    held: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        for connection in held:
            connection.close()

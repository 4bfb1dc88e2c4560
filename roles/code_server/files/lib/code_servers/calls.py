"""What a code server is asked: Dagster's own calls, and gRPC's for its health."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from code_servers.host import ROOT, Failed
from code_servers.http2 import Http2, Unanswered

PKI = ROOT / "etc/dagfleet/pki"
SECONDS = 20
HEALTH = "/grpc.health.v1.Health/Check"
DAGSTER = "/api.DagsterApi/"
# {service: "DagsterApi"}, and {status: SERVING}, as protobuf writes them.
OF_DAGSTER, SERVING = b"\x0a\x0aDagsterApi", b"\x08\x01"


@contextmanager
def here(port: int) -> Iterator[Http2]:
    """Connect to a server of this host; raise Failed."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            yield Http2(connection)
    except (OSError, Unanswered) as error:
        raise Failed(f"The code server on port {port} does not answer: {error}") from error


@contextmanager
def beside(location: str, host: str, address: str, pki: Path = PKI) -> Iterator[Http2]:
    """Connect through the mesh, as its gateway, to a host's server that does not serve yet; raise Failed."""
    at, port = address.rsplit(":", 1)
    try:
        context = ssl.create_default_context(cafile=str(pki / "mesh-ca.crt"))
        context.load_cert_chain(pki / "gateway.pem", pki / "gateway.pem.key")
        context.set_alpn_protocols([location + ".next.grpc.dagfleet"])
        plain = socket.create_connection((at, int(port)), timeout=SECONDS)
        with context.wrap_socket(plain, server_hostname=host) as connection:
            yield Http2(connection)
    # Which of them it is depends on how far TLS had come.
    except (Unanswered, ssl.SSLEOFError, ConnectionResetError) as error:
        raise Failed("its new code server cannot be asked: the mesh ended the connection") from error
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise Failed(f"its mesh refused the gateway: {reason}") from error
    except OSError as error:
        raise Failed(f"its mesh did not answer: {error}") from error


def server_id(server: Http2) -> str:
    """Return by which id Dagster knows a server."""
    return _text(server.call(DAGSTER + "GetServerId"))


def shut_down(server: Http2) -> None:
    """Tell a server to end: it takes no new work, and finishes what it has."""
    server.call(DAGSTER + "ShutdownServer")


def repositories(server: Http2) -> list[str]:
    """Return the names of a healthy server's repositories; raise Failed."""
    if server.call(HEALTH, OF_DAGSTER) != SERVING:
        raise Failed("its new code server is not healthy")
    found: dict[str, Any] = json.loads(_text(server.call(DAGSTER + "ListRepositories")))
    if "repository_symbols" not in found:
        raise Failed(f"its new code server has no repositories: {str(found.get('message', found))[:500]}")
    return [str(each.get("attribute")) for each in found["repository_symbols"]]


def _text(message: bytes) -> str:
    """Return the one text of a protobuf message: a tag, its length in groups of seven bits, the text."""
    start = 1
    while message[start] & 0x80:
        start += 1
    return message[start + 1 :].decode()

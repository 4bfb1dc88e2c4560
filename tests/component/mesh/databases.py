"""Stands in for PgBouncer: answers PostgreSQL's first question, and says where it is."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.component.mesh.conftest import ADDRESSES, Mesh

# "May we speak TLS?"; "N" is no.
QUESTION = b"\0\0\0\x08\x04\xd2\x16\x2f"


@contextmanager
def serving(port: int, name: str) -> Iterator[None]:
    """Serve as the database on a port of loopback."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if self.request.recv(len(QUESTION)) == QUESTION:
                self.request.sendall(b"N" + name.encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@contextmanager
def plain(mesh: Mesh, *, source: str = "", patience: float = 30) -> Iterator[socket.socket]:
    """Connect as beta's own containers do."""
    address = (ADDRESSES["beta"], mesh.ports["database"])
    with socket.create_connection(address, timeout=patience, source_address=(source, 0)) as connection:
        yield connection


def who_answers(opened: AbstractContextManager[socket.socket]) -> str:
    """Return the name of the database there; empty when refused, which may show while one still
    connects, `silence` when nothing came."""
    try:
        with opened as connection:
            connection.sendall(QUESTION)
            answer = b""
            while part := connection.recv(64):
                answer += part
            return answer.decode().removeprefix("N")
    except TimeoutError:
        return "silence"
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return ""

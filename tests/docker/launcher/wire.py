"""A proxy in front of Docker's socket that counts what passes, and can fail as a host does."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_REQUEST = re.compile(rb"(?:^|\r\n\r\n|\n)((?:GET|POST|PUT|DELETE|HEAD) \S+) HTTP/1\.1\r\n")


class Wire:
    """What went over the wire: `requests` are method and path, without the query."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.silent_on: tuple[str, ...] = ()
        self.cut_on: tuple[str, ...] = ()

    def forget(self) -> None:
        """Count from zero."""
        self.requests.clear()

    def note(self, chunk: bytes) -> bool:
        """Count the requests in a chunk; say whether it may pass. Raise `OSError` to cut the connection."""
        found = [match.decode().partition("?")[0] for match in _REQUEST.findall(chunk)]
        self.requests += found
        if any(word in request for request in found for word in self.cut_on):
            raise ConnectionAbortedError
        return not any(word in request for request in found for word in self.silent_on)


@contextmanager
def counting(docker_socket: Path, at: Path) -> Iterator[Wire]:
    """Serve a unix socket at `at` that passes everything on to Docker's and counts it."""
    wire = Wire()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(at))
    listener.listen()
    threading.Thread(target=_accept, args=(listener, docker_socket, wire), daemon=True).start()
    try:
        yield wire
    finally:
        listener.close()
        at.unlink()


def _accept(listener: socket.socket, docker_socket: Path, wire: Wire) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(docker_socket))
            for source, target, watched in ((client, server, wire), (server, client, None)):
                threading.Thread(target=_pump, args=(source, target, watched), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, wire: Wire | None) -> None:
    try:
        while chunk := source.recv(65536):
            if wire is None or wire.note(chunk):
                target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

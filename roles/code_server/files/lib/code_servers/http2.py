"""As much of HTTP/2 as a gRPC call with one message each way needs: hosts have no gRPC of their own."""

from __future__ import annotations

import gzip
import socket

# Frames (RFC 9113, section 6) and their flags.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = (2**30).to_bytes(4, "big")
INITIAL_WINDOW_SIZE = (4).to_bytes(2, "big")


class Unanswered(Exception):  # noqa: N818
    """A server ended the connection or the call."""


class Http2:
    """A connection to a gRPC server."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.stream = -1
        window = frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE + WINDOW) + frame(WINDOW_UPDATE, 0, 0, WINDOW)
        connection.sendall(PREFACE + window)

    def call(self, path: str, message: bytes = b"") -> bytes:
        """Return the message that answers; raise Unanswered when none does."""
        self.stream += 2
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self.connection.sendall(
            frame(HEADERS, END_HEADERS, self.stream, headers(path))
            + frame(DATA, END_STREAM, self.stream, body)
        )
        answer, ended = b"", False
        while not ended:
            kind, flags, stream, content = self._receive()
            if kind == SETTINGS and not flags & ACK:
                self.connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self.connection.sendall(frame(PING, ACK, 0, content))
            elif kind == GOAWAY or (kind == RST_STREAM and stream == self.stream):
                break
            elif stream == self.stream and kind in (DATA, HEADERS):
                answer += content if kind == DATA else b""
                ended = bool(flags & END_STREAM)
        if len(answer) < 5:
            raise Unanswered(f"it does not answer {path}")
        # A byte says whether it is compressed, four how long it is. Dagster's server does so unasked.
        return gzip.decompress(answer[5:]) if answer[0] else answer[5:]

    def _receive(self) -> tuple[int, int, int, bytes]:
        """Return a frame: kind, flags, stream, content."""
        head = self._exactly(9)
        content = self._exactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), content

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.connection.recv(size - len(found))
            if not more:
                raise Unanswered("it ended the connection")
            found += more
        return found


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Return a frame's bytes."""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def headers(path: str) -> bytes:
    """Return a request's headers as HPACK writes them without a table of its own (RFC 7541, section 6)."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    # POST, http, then literals: :path, :authority and content-type are 4, 1 and 31 of the static table.
    known = b"\x83\x86\x04" + text(path) + b"\x01" + text("code-server")
    return known + b"\x0f\x10" + text("application/grpc") + b"\0" + text("te") + text("trailers")

"""gRPC calls with one message each way.

gRPC's own library cannot be used: it always names HTTP/2 in ALPN, where the mesh wants the location
(decision 0003).
"""

from __future__ import annotations

import gzip
import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

CHUNK = 2**16


class Unanswered(Exception):  # noqa: N818
    """A server ended the connection or the call."""


class Http2:
    """A connection to a gRPC server."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.http = H2Connection(H2Configuration(header_encoding=None))
        self.http.initiate_connection()

    def call(self, path: str, message: bytes = b"") -> bytes:
        """Return the message that answers; raise Unanswered when none does."""
        stream = self.http.get_next_available_stream_id()
        self.http.send_headers(
            stream,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "code-server"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ],
        )
        self.http.send_data(stream, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        answer, said, ended = bytearray(), "", False
        while not ended:
            for event in self._events():
                if isinstance(event, DataReceived):
                    answer += event.data
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, TrailersReceived):
                    said = dict(event.headers).get(b"grpc-message", b"").decode()
                elif isinstance(event, (StreamEnded, StreamReset, ConnectionTerminated)):
                    ended = True
        if len(answer) < 5:
            raise Unanswered(f"it does not answer {path}" + (f": {said}" if said else ""))
        # A byte says whether it is compressed, four how long it is. Dagster's server does so unasked.
        return gzip.decompress(answer[5:]) if answer[0] else bytes(answer[5:])

    def _events(self) -> list[Event]:
        """Send what is to be sent and return what that or the server brings about."""
        self.connection.sendall(self.http.data_to_send())
        received = self.connection.recv(CHUNK)
        if not received:
            raise Unanswered("it ended the connection")
        try:
            return list(self.http.receive_data(received))
        except ProtocolError as error:
            raise Unanswered(f"it does not speak HTTP/2: {error}") from error

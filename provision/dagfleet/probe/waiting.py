"""Runs on the control host, as root, with the standard library alone: asks code servers through the mesh.

usage: python3 - PKI LOCATION HOST=ADDRESS:PORT...

Each host is asked as the gateway for the location's server that does not serve yet: for its gRPC health, and
for its repositories. Prints a JSON object: for each host its repositories, or what is wrong as a text.
"""

import gzip
import json
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Frames of HTTP/2 (RFC 9113, section 6), and their flags.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW = 2**30
HEALTH = "/grpc.health.v1.Health/Check"
REPOSITORIES = "/api.DagsterApi/ListRepositories"
# {service: "DagsterApi"}, and {status: SERVING}, as protobuf writes them.
OF_DAGSTER, SERVING = b"\x0a\x0aDagsterApi", b"\x08\x01"


def main(pki: str, location: str, *hosts: str) -> None:
    """Ask all hosts at once and print the answers."""
    names, addresses = zip(*(each.split("=", 1) for each in hosts))  # noqa: B905 -- not in Python 3.9
    with ThreadPoolExecutor(len(hosts)) as pool:
        answers = pool.map(lambda name, address: asked(pki, location, name, address), names, addresses)
    json.dump(dict(zip(names, answers)), sys.stdout)  # noqa: B905 -- not in Python 3.9


def asked(pki: str, location: str, host: str, address: str) -> "list[str] | str":
    """Return the repositories of a host's waiting server, or why it cannot serve."""
    at, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=pki + "/mesh-ca.crt")
    context.load_cert_chain(pki + "/gateway.pem", pki + "/gateway.pem.key")
    context.set_alpn_protocols([location + ".next.grpc.dagfleet"])
    try:
        plain = socket.create_connection((at, int(port)), timeout=SECONDS)
        with context.wrap_socket(plain, server_hostname=host) as connection:
            return repositories(Http2(connection))
    except Refused as refused:
        return str(refused)
    except ssl.SSLError as error:
        return "its mesh refused: " + (error.reason or str(error)).replace("_", " ").lower()
    except OSError as error:
        return "its mesh did not answer: " + (error.strerror or str(error)).lower()


class Refused(Exception):  # noqa: N818
    """What a server said, or left unsaid."""


def repositories(server: "Http2") -> "list[str]":
    """Return the names of a healthy server's repositories; raise Refused."""
    if server.call(HEALTH, OF_DAGSTER) != SERVING:
        raise Refused("its new code server is not healthy")
    # One text in a message: a tag, its length in groups of seven bits, the text.
    text = server.call(REPOSITORIES, b"")
    start = 1
    while text[start] & 0x80:
        start += 1
    found: dict[str, Any] = json.loads(text[start + 1 :])
    if "repository_symbols" not in found:
        raise Refused("its new code server has no repositories: " + str(found.get("message", found))[:500])
    return [str(each.get("attribute")) for each in found["repository_symbols"]]


class Http2:
    """As much of HTTP/2 as a gRPC call with one message each way needs."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self.stream = -1
        window = (4).to_bytes(2, "big") + WINDOW.to_bytes(4, "big")
        connection.sendall(
            PREFACE + frame(SETTINGS, 0, 0, window) + frame(WINDOW_UPDATE, 0, 0, WINDOW.to_bytes(4, "big"))
        )

    def call(self, path: str, message: bytes) -> bytes:
        """Return the message that answers; raise Refused when none does."""
        self.stream += 2
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self.connection.sendall(
            frame(HEADERS, END_HEADERS, self.stream, headers(path))
            + frame(DATA, END_STREAM, self.stream, body)
        )
        answer = b""
        ended = False
        while not ended:
            kind, flags, stream, content = self.receive()
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
            raise Refused("its new code server does not answer " + path)
        # A byte says whether it is compressed, four how long it is. Dagster's server does so in any case.
        return gzip.decompress(answer[5:]) if answer[0] else answer[5:]

    def receive(self) -> "tuple[int, int, int, bytes]":
        """Return a frame: kind, flags, stream, content."""
        head = self.exactly(9)
        content = self.exactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), content

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        found = b""
        while len(found) < size:
            more = self.connection.recv(size - len(found))
            if not more:
                raise Refused("its mesh has nobody to pass it on to")
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


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Knocks at doors and says in one word each what came of it; runs alone, wherever there is a Python.

Standard input: `{"doors": [{ask, address, port, location}], "identity": {certificate, key} or null}`.
Output: a list of words in the same order.
"""

import json
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SILENCE_SECONDS = 2.5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
POSTGRES_HELLO = b"\x00\x00\x00\x21\x00\x03\x00\x00user\x00dagster\x00database\x00x\x00\x00"
HTTP2_SETTINGS, POSTGRES_AUTHENTICATION = 4, b"R"


def knock(door: dict[str, Any], identity: dict[str, str] | None) -> str:
    """Return what a door answers: a word of the matrix, or what was unexpected."""
    try:
        connection = socket.create_connection((door["address"], door["port"]), timeout=SILENCE_SECONDS)
    except TimeoutError:
        return "silence"
    except ConnectionRefusedError:
        return "nobody"
    with connection:
        connection.settimeout(10)
        try:
            return ASKED[door["ask"]](connection, door, identity)
        except (ssl.SSLError, ConnectionError, TimeoutError):
            return "no"


def _ssh(connection: socket.socket, *_: object) -> str:
    return "key" if connection.recv(64).startswith(b"SSH-2.0") else "no"


def _docker(connection: socket.socket, door: dict[str, Any], identity: dict[str, str] | None) -> str:
    with _tls(connection, identity) as tls:
        reads = _status(tls, b"GET /v1.41/containers/json HTTP/1.1\r\nHost: docker\r\n\r\n")
    with (
        socket.create_connection((door["address"], door["port"]), timeout=10) as again,
        _tls(again, identity) as tls,
    ):
        # Without a body it creates nothing: dockerd itself says what is wrong with it.
        creates = _status(
            tls, b"POST /v1.41/containers/create HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
        )
    words = {(200, 403): "reads", (200, 400): "creates", (200, 500): "creates"}
    return words.get((reads, creates), f"{reads} {creates}")


def _code(connection: socket.socket, door: dict[str, Any], identity: dict[str, str] | None) -> str:
    with _tls(connection, identity, f"{door['location']}.grpc.dagfleet") as tls:
        return _greeted(tls)


def _plain_code(connection: socket.socket, *_: object) -> str:
    return _greeted(connection)


def _greeted(connection: socket.socket) -> str:
    connection.sendall(PREFACE)
    answer = connection.recv(9)
    return "code" if len(answer) > 3 and answer[3] == HTTP2_SETTINGS else "no"


def _database(connection: socket.socket, _: object, identity: dict[str, str] | None) -> str:
    with _tls(connection, identity, "db.dagfleet") as tls:
        return _sql(tls)


def _sql(connection: socket.socket, *_: object) -> str:
    connection.sendall(POSTGRES_HELLO)
    return "sql" if connection.recv(1) in {POSTGRES_AUTHENTICATION, b"E"} else "no"


def _web(connection: socket.socket, _: object, identity: dict[str, str] | None) -> str:
    with _tls(connection, identity) as tls:
        status = _status(tls, b"GET /graphql HTTP/1.1\r\nHost: dagster\r\nConnection: close\r\n\r\n")
    return "login" if status == 401 else str(status)


def _tls(
    connection: socket.socket, identity: dict[str, str] | None, protocol: str | None = None
) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # An attacker does not care whom he talks to.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocol:
        context.set_alpn_protocols([protocol])
    if identity:
        context.load_cert_chain(identity["certificate"], identity["key"])
    return context.wrap_socket(connection)


def _status(connection: ssl.SSLSocket, request: bytes) -> int:
    connection.sendall(request)
    answer = connection.recv(4096)
    if not answer:
        raise ConnectionResetError
    return int(answer.split()[1])


ASKED = {
    "ssh": _ssh,
    "docker": _docker,
    "code": _code,
    "plain code": _plain_code,
    "database": _database,
    "sql": _sql,
    "web": _web,
}

if __name__ == "__main__":
    question = json.load(sys.stdin)
    with ThreadPoolExecutor(32) as pool:
        print(json.dumps(list(pool.map(lambda door: knock(door, question["identity"]), question["doors"]))))

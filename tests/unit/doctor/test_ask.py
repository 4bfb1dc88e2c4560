"""The script that answers on a host, run as there: Python alone, questions on standard input."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

import pytest


def ask(*questions: dict[str, Any]) -> list[dict[str, Any]]:
    source = resources.files("dagfleet.doctor").joinpath("ask.py").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", source],
        input=json.dumps(questions), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@contextmanager
def replying(words: bytes) -> Iterator[int]:
    """A server that says `words` to whoever says something."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(64)
                    connection.sendall(words)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/server_info" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("words", "ok"), [(b"N", True), (b"S", True), (b"", False)])
def test_a_database_is_known_by_its_own_protocol(words: bytes, ok: bool) -> None:
    with replying(words) as port:
        [answer] = ask({"kind": "sql", "address": "127.0.0.1", "port": port})
    assert answer["ok"] is ok


def test_a_page_is_asked_for() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = {"kind": "http", "address": "127.0.0.1", "port": server.server_port}
        good, bad = ask({**where, "path": "/server_info"}, {**where, "path": "/other"})
        server.shutdown()
    assert (good["ok"], bad["ok"]) == (True, False)
    assert "404" in bad["fact"]


def test_nobody_listening_is_told_from_somebody_who_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        [there] = ask({"kind": "listens", "address": "127.0.0.1", "port": port})
    [gone] = ask({"kind": "listens", "address": "127.0.0.1", "port": port})
    assert there["ok"]
    assert not gone["ok"]
    assert "refused" in gone["fact"]


def test_one_question_that_fails_leaves_the_others_their_answers() -> None:
    with replying(b"N") as port:
        failed, answered = ask(
            {"kind": "container", "name": "dagfleet-no-such-container"},
            {"kind": "sql", "address": "127.0.0.1", "port": port},
        )
    assert not failed["ok"]
    assert failed["fact"]
    assert answered["ok"]

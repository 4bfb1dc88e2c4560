"""An HTTP server in dockerd's place that remembers what reached it."""

import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path

Request = tuple[str, str]


class Dockerd(socketserver.ThreadingUnixStreamServer):
    """Answers everything with 200 on a unix socket."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.seen: list[Request] = []
        self.received = 0
        super().__init__(str(path), Handler)

    def handle_error(self, *_: object) -> None:
        """HAProxy closes connections as it likes."""


class Handler(BaseHTTPRequestHandler):
    """Records each request and counts its body."""

    protocol_version = "HTTP/1.1"
    server: Dockerd

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if self.raw_requestline and self.parse_request():
            self.answer()
            self.wfile.flush()
        else:
            self.close_connection = True

    def answer(self) -> None:
        """Take the body, then say yes."""
        self.server.seen.append((self.command, self.path))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.server.received += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.server.received += len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self) -> str:
        return "haproxy"

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

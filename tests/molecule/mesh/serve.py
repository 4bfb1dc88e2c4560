"""Stands in for what the mesh carries: greets like an HTTP/2 server, settings first, or echoes a line."""

import socketserver
import sys

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        if sys.argv[2] == "greet":
            self.wfile.write(SETTINGS)
        self.wfile.write(self.rfile.readline())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

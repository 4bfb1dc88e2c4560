"""Send a line to an address and print what comes back, without the settings frame of a code server."""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as connection:
    connection.sendall(b"hello\n")
    connection.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: connection.recv(4096), b""))
print(answer.removeprefix(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))).decode(), end="")

"""Docker's API through a command: each connection is a process that carries its bytes, such as ssh."""

import contextlib
import json
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker

REFUSED = (
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
)


class TunnelledClient(docker.DockerClient):
    """A client whose connections each go through a process of `command`; close it after use."""

    def __init__(self, command: Sequence[str], *, version: str, timeout: int) -> None:
        self._tunnel = Tunnel(command)
        try:
            super().__init__(base_url=f"unix://{self._tunnel.path}", version=version, timeout=timeout)
        except BaseException:
            self._tunnel.close()
            raise
        self.api.trust_env = False
        _share_connections(self.api)

    def close(self) -> None:
        """Close the connections and end their processes."""
        super().close()
        self._tunnel.close()


def _share_connections(api: docker.APIClient) -> None:
    """Let all calls share what connections there are: the SDK keeps some for each path, each a process."""
    adapter: Any = api.get_adapter(api.base_url)
    of_path = adapter.get_connection
    adapter.get_connection = lambda _path, proxies=None: of_path(api.base_url, proxies)


class Tunnel:
    """A unix socket that nobody else can open, with a process of `command` behind each connection."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._folder = tempfile.TemporaryDirectory(prefix="dagfleet-")
        self.path = Path(self._folder.name) / "docker.sock"
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._turn = threading.Lock()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(self.path))
        self._listening.listen()
        threading.Thread(target=self._serve, name="docker-tunnel", daemon=True).start()

    def close(self) -> None:
        """Take no more connections and end those that are open; closing twice is fine."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._turn:
            for process in self._processes:
                process.terminate()
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(connection,), daemon=True).start()

    def _carry(self, connection: socket.socket) -> None:
        with connection:
            process = subprocess.Popen(
                self._command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.PIPE
            )
            with self._turn:
                self._processes.add(process)
            _, said = process.communicate()
            with self._turn:
                self._processes.discard(process)
            if process.returncode > 0:
                # Whoever waits for an answer gets the reason why there is none.
                with contextlib.suppress(OSError):
                    connection.sendall(_refusal(said.decode(errors="replace")))


def _refusal(said: str) -> bytes:
    words = [line.strip() for line in said.splitlines() if line.strip()]
    body = json.dumps({"message": words[-1] if words else "the connection was cut off"})
    return REFUSED.format(length=len(body), body=body).encode()

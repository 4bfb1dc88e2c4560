"""The Docker API on a connection of one's own: over the engine's socket, or over the mesh as the launcher."""

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.component.mesh.conftest import ADDRESSES, Mesh


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Calls:
    """One kept connection."""

    connection: http.client.HTTPConnection

    @classmethod
    def plain(cls, path: Path) -> "Calls":
        """Return calls by the engine's own socket."""
        return cls(_UnixConnection(path))

    @classmethod
    def mesh(cls, mesh: Mesh) -> "Calls":
        """Return calls by way of beta's HAProxy, with mutual TLS."""
        context = mesh.tls("launcher", authority="docker")
        return cls(
            http.client.HTTPSConnection(ADDRESSES["beta"], mesh.ports["docker"], context=context, timeout=30)
        )

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._get("/_ping")

    def list_containers(self) -> None:
        """Ask for the containers."""
        self._get("/v1.41/containers/json")

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _get(self, path: str) -> None:
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

"""A real registry on loopback that wants a login, behind a gate that can be closed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
from docker import APIClient
from docker.errors import ImageNotFound

USER, PASSWORD = "puller", "hunter2"
_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@dataclass
class Registry:
    """`address` leads through the gate: while that is closed, connections hang."""

    port: int
    open: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """The host and port in the names of images."""
        return f"127.0.0.1:{self.port}"

    @property
    def credentials(self) -> dict[str, str]:
        """The `registry` of the launcher's configuration."""
        return {"url": self.address, "username": USER, "password": PASSWORD}

    def holding(self, docker: APIClient, image: str, name: str) -> str:
        """Push an image of the daemon under a name, and forget that name; return it."""
        reference = f"{self.address}/{name}"
        repository, _, tag = reference.rpartition(":")
        docker.tag(image, repository, tag, force=True)
        login = {"username": USER, "password": PASSWORD}
        output = docker.push(repository, tag, auth_config=login)
        errors = [line for line in output.splitlines() if "error" in json.loads(line)]
        assert not errors, errors
        self.forgotten(docker, reference)
        return reference

    def forgotten(self, docker: APIClient, reference: str) -> None:
        """Have the daemon lack the image again, by its name and by its digest."""
        repository = reference.rpartition(":")[0]
        for found in docker.images():
            for name in (*(found["RepoTags"] or ()), *(found["RepoDigests"] or ())):
                if name == reference or name.startswith(f"{repository}@"):
                    with suppress(ImageNotFound):  # the digest goes with its last tag
                        docker.remove_image(name, force=True)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Run docker-registry and its gate."""
    listener = socket.create_server(("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        behind: int = free.getsockname()[1]
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
    configuration = folder / "registry.yml"
    configuration.write_text(_CONFIG.format(folder=folder, port=behind))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
    )
    running = Registry(listener.getsockname()[1])
    running.open.set()
    threading.Thread(target=_accept, args=(listener, behind, running.open), daemon=True).start()
    try:
        _wait_for(process, behind)
        yield running
    finally:
        running.open.set()
        listener.close()
        process.terminate()
        process.wait(timeout=30)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "docker-registry ended"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "docker-registry does not listen"
        time.sleep(0.05)


def _accept(listener: socket.socket, port: int, gate: threading.Event) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(client, port, gate), daemon=True).start()


def _pass_on(client: socket.socket, port: int, gate: threading.Event) -> None:
    with suppress(OSError):
        server = socket.create_connection(("127.0.0.1", port))
        back = threading.Thread(target=_pump, args=(server, client, gate), daemon=True)
        back.start()
        _pump(client, server, gate)
        back.join()


def _pump(source: socket.socket, target: socket.socket, gate: threading.Event) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            gate.wait()
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)

"""The launcher's own Docker client by each way to one dockerd: its socket, the mesh, and a real sshd."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dagster_multihost_launcher.api import DockerApi, connect
from dagster_multihost_launcher.settings import Host, Tls

from tests.bench.mesh.timing import Comparison, compare
from tests.component.mesh.conftest import ADDRESSES, Mesh
from tests.docker.launcher.endpoints import ssh_endpoint

SLOWER = 5  # SSH takes a hundred times as long for what is new, and medians need no more


@contextmanager
def hosts_by_way(mesh: Mesh, socket: Path, folder: Path) -> Iterator[dict[str, Host]]:
    """Yield the dockerd behind `socket` as an entry of docker_hosts for each way; sshd keeps its files in
    `folder`.

    SSH goes by what the home directory says, so that is in `folder`, too, until the end of the block.
    """
    pki, home = mesh.directory / "pki", os.environ.get("HOME")
    certificates = Tls(
        client_cert=str(pki / "launcher.pem"),
        client_key=str(pki / "launcher.pem.key"),
        ca_cert=str(pki / "docker-ca.crt"),
    )
    folder.mkdir()
    with ssh_endpoint(folder) as ssh:
        os.environ["HOME"] = str(ssh.home)
        try:
            yield {
                "plain": Host(name="plain", url=f"unix://{socket}"),
                "mesh": Host(
                    name="mesh", url=f"tcp://{ADDRESSES['beta']}:{mesh.ports['docker']}", tls=certificates
                ),
                "ssh": Host(name="ssh", url=ssh.host()["docker_url"]),
            }
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


def launcher_calls(hosts: Mapping[str, Host], times: int) -> Iterator[Comparison]:
    """Compare one call on a kept connection, on a new one of a client that is there, and of a new client.

    Over SSH the second is a session with a `docker system dial-stdio` of its own, on a login that is kept:
    what one more call at once costs. The third is a login.
    """
    with ExitStack() as stack:
        clients = {way: stack.enter_context(_client(host)) for way, host in hosts.items()}
        yield compare(
            "Docker ping by the launcher",
            {way: client.ping for way, client in clients.items()},
            times=times,
        )
        yield compare(
            "Docker ping by it, new connection",
            {way: _Anew(client) for way, client in clients.items()},
            times=times // SLOWER,
        )
    yield compare(
        "Docker ping by it, new client",
        {way: _Newcomer(host) for way, host in hosts.items()},
        times=times // SLOWER,
    )


@contextmanager
def _client(host: Host) -> Iterator[DockerApi]:
    client = connect(host, connect_timeout=30, read_timeout=30)
    try:
        yield client
    finally:
        client.close()


class _Anew:
    """A ping on a connection that is opened for it."""

    def __init__(self, client: DockerApi) -> None:
        adapter: Any = client.get_adapter(client.base_url)
        # The SDK's own adapters, for sockets and SSH, and the one of requests, for TLS.
        self._kept = adapter.pools if hasattr(adapter, "pools") else adapter.poolmanager
        self._client = client

    def __call__(self) -> None:
        self._kept.clear()
        self._client.ping()


class _Newcomer:
    """A ping of a client that is made for it."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self) -> None:
        with _client(self._host) as client:
            client.ping()

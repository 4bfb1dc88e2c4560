"""Other ways to this machine's dockerd: mutual TLS through a real HAProxy, and a real sshd, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

_SERIAL = "X-Client-Serial"
_HAPROXY = """
global
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend docker
    bind 127.0.0.1:{port} ssl crt {folder}/server.pem ca-file {folder}/ca.crt verify required
    http-response set-header {serial} %[ssl_c_serial,hex]
    default_backend dockerd
backend dockerd
    server dockerd unix@/var/run/docker.sock
"""
_SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
"""


@dataclass(frozen=True)
class TlsEndpoint:
    """HAProxy in front of dockerd; its clients' files are in `folder`."""

    folder: Path
    port: int
    authorities: Authorities

    def host(self, **tls: Any) -> dict[str, Any]:
        """Return the entry of docker_hosts for it."""
        files = {"ca_cert": "ca.crt", "client_cert": "launcher.pem", "client_key": "launcher.pem.key"}
        named = {key: str(self.folder / name) for key, name in files.items()}
        return {"docker_url": f"tcp://127.0.0.1:{self.port}", "tls": {**named, **tls}}

    def renew(self) -> None:
        """Give the launcher a new certificate under the same file names, as a renewal does."""
        _issue(self.authorities, self.folder, "launcher", "client")


@contextmanager
def tls_endpoint(folder: Path, *, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Iterator[TlsEndpoint]:
    """Serve dockerd over mutual TLS, with a server's certificate for these addresses."""
    authorities = Authorities.create(folder / "authorities", "test", "passphrase", 1)
    (folder / "ca.crt").write_bytes(authorities.certificate("docker"))
    _issue(authorities, folder, "server", "server", addresses)
    _issue(authorities, folder, "launcher", "client")
    port = _free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(_HAPROXY.format(port=port, folder=folder, serial=_SERIAL))
    with _running(["haproxy", "-db", "-f", str(configuration)], port):
        yield TlsEndpoint(folder, port, authorities)


def serial_shown(answer: Any) -> int:
    """Return the serial of the client certificate with which a request came to the endpoint."""
    return int(answer.headers[_SERIAL], 16)


def _issue(
    authorities: Authorities,
    folder: Path,
    name: str,
    usage: Literal["server", "client"],
    addresses: tuple[str, ...] = (),
) -> None:
    names = (name,) if usage == "server" else ()
    spec = CertificateSpec(
        name=name,
        host=None,
        authority="docker",
        common_name=name,
        dns_names=names,
        ip_addresses=addresses,
        usage=usage,
    )
    key, certificate = authorities.issue(spec, 30)
    for file, content in ((f"{name}.pem", certificate), (f"{name}.pem.key", key)):
        new = folder / f"{file}.new"
        new.write_bytes(content)
        new.replace(folder / file)


@dataclass(frozen=True)
class SshEndpoint:
    """A real sshd that lets the key in `home` in; what `home/.ssh` says is what the client goes by."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    def host(self) -> dict[str, Any]:
        """Return the entry of docker_hosts for it."""
        return {"docker_url": f"ssh://root@127.0.0.1:{self.port}"}

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let it answer nothing, on old connections and new ones, as a host that hangs does."""
        everything = [self.process.pid, *_descendants(self.process.pid)]
        for pid in everything:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in everything:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def sessions(self) -> int:
        """Return how many sessions talk to Docker."""
        commands = [
            Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in _descendants(self.process.pid)
        ]
        return sum(command[1:3] == [b"system", b"dial-stdio"] for command in commands)

    def drop_connections(self) -> None:
        """End every session, as a restart of the host does, and keep listening."""
        subprocess.run(["pkill", "-P", str(self.process.pid)], check=False, timeout=10)


def _descendants(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from _descendants(int(child))


@contextmanager
def ssh_endpoint(folder: Path) -> Iterator[SshEndpoint]:
    """Serve `docker system dial-stdio` through sshd."""
    for name in ("host_key", "user_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=30
        )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges
    port = _free_port()
    (folder / "sshd_config").write_text(_SSHD.format(port=port, folder=folder))
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True)
    host_key = (folder / "host_key.pub").read_text()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (home / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  IdentityFile {folder}/user_key\n")
    with _running(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], port) as process:
        yield SshEndpoint(home, port, process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it listens, and end it and its children afterwards."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, f"{command} does not listen"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)

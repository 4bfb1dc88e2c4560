"""A real SSH server on loopback that runs commands as the current user; enough for the whole probe."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED


@dataclass
class Server(paramiko.ServerInterface):
    """Lets `authorized` in and runs what it is told."""

    authorized: paramiko.PKey
    path: str
    commands: list[str]

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = key == self.authorized and username == "root"
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.append(command.decode())
        threading.Thread(target=self._execute, args=(channel, command), daemon=True).start()
        return True

    def _execute(self, channel: paramiko.Channel, command: bytes) -> None:
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, check=False, env={**os.environ, "PATH": self.path}
        )
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


@dataclass
class Running:
    port: int
    host_key: paramiko.PKey
    commands: list[str]
    logins: int = 0


@contextmanager
def ssh_server(authorized: paramiko.PKey, *, path: str | None = None) -> Iterator[Running]:
    host_key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    running = Running(listening.getsockname()[1], host_key, [])
    transports: list[paramiko.Transport] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(host_key)
            transports.append(transport)
            running.logins += 1
            try:
                transport.start_server(
                    server=Server(authorized, path or os.environ["PATH"], running.commands)
                )
            except (paramiko.SSHException, EOFError, OSError):
                continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)
        for transport in transports:
            transport.close()


def write_key(path: Path) -> paramiko.PKey:
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(path))
    return key

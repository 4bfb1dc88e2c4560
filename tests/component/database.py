"""A real PostgreSQL on loopback, with a password, as on a fleet."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest


@dataclass(frozen=True)
class Database:
    """An empty database: its URL, which holds no password, and the password."""

    url: str
    password: str

    @property
    def with_password(self) -> str:
        """The URL with the password in it, as Dagster takes it."""
        return self.url.replace("@", f":{self.password}@", 1)


def copied(template: str) -> str:
    """Copy the database at this URL, to which nobody is connected; return the copy's URL."""
    server, _, name = template.rpartition("/")
    copy = f"test_{secrets.token_hex(4)}"
    with closing(psycopg2.connect(f"{server}/postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"create database {copy} template {name}")
    return f"{server}/{copy}"


class Cluster:
    """A cluster of its own on a free port; PostgreSQL refuses root, so root becomes user postgres."""

    def __init__(self, user: str) -> None:
        found = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        if found is None:
            pytest.fail("PostgreSQL's server is missing: apt-get install postgresql")
        self._binaries = found
        self._become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._folder = Path(tempfile.mkdtemp(prefix="dagfleet-test-database-"))
        self._password = secrets.token_hex(16)
        secret = self._folder / "password"
        secret.write_text(self._password)
        if self._become:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            os.chown(secret, owner.pw_uid, owner.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._url = f"postgresql://{user}@127.0.0.1:{self._port}"
        self._run("initdb", "-U", user, "-A", "scram-sha-256", f"--pwfile={secret}",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories=''"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-l", log, "-o", f"{options} -c fsync=off", "start")

    def stop(self) -> None:
        """Stop it at once; its databases stay."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Stop it and delete it."""
        if (self._folder / "data/postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder)

    def create_database(self) -> Database:
        """Make an empty database."""
        name = f"test_{secrets.token_hex(4)}"
        connection = psycopg2.connect(f"{self._url}/postgres", password=self._password)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
        connection.close()
        return Database(url=f"{self._url}/{name}", password=self._password)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._become, str(self._binaries / program), "-D", str(self._folder / "data"), *arguments]
        subprocess.run(command, check=True, timeout=60, cwd=self._folder, stdout=subprocess.DEVNULL)

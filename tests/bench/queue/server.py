"""The PostgreSQL that both daemons share, what it does while they work, and PgBouncer in front of it."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What the server did so far: seconds of CPU, statements."""

    cpu: float
    statements: int

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(self.cpu - earlier.cpu, self.statements - earlier.statements)


class Server:
    """A PostgreSQL with its default durability, and a PgBouncer with session pooling, on loopback."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dagfleet-bench-queue-"))
        self._binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
        # Not runuser: it waits two seconds when it is asked to end.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._password = secrets.token_hex(16)
        self.port, self.bouncer_port = _free_port(), _free_port()
        (self._folder / "password").write_text(self._password)
        (self._folder / "users.txt").write_text(f'"bench" "{self._password}"\n')
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.bouncer_port}\nauth_type = scram-sha-256\n"
            f"auth_file = {self._folder}/users.txt\npool_mode = session\ndefault_pool_size = 20\n"
            "max_client_conn = 500\nunix_socket_dir =\nlogfile = /dev/null\n"
        )
        if self._user:
            owner = pwd.getpwnam(self._user)
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-U", "bench", "-A", "scram-sha-256", f"--pwfile={self._folder}/password",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories=''"
            " -c shared_preload_libraries=pg_stat_statements -c max_connections=200 -c log_connections=on"
        )
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")
        self._bouncer = subprocess.Popen(
            [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "--quiet", "pgbouncer.ini"],
            cwd=self._folder, start_new_session=True, stderr=subprocess.DEVNULL,
            user=self._user, group=self._user,
        )  # fmt: skip
        self._postmaster = int((self._folder / "data/postmaster.pid").read_text().split()[0])
        self.ask("postgres", "create extension pg_stat_statements")

    def url(self, database: str, *, bounced: bool = False) -> str:
        """Return the URL of a database, straight or through PgBouncer."""
        port = self.bouncer_port if bounced else self.port
        return f"postgresql://bench:{self._password}@127.0.0.1:{port}/{database}"

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy, and return its name."""
        name = f"bench_{secrets.token_hex(4)}"
        self.ask("postgres", f"create database {name}" + (f" template {template}" if template else ""))
        return name

    def ask(self, database: str, statement: str, *parameters: Any) -> list[Any]:
        """Return the rows of a statement on a connection of its own."""
        with closing(psycopg2.connect(self.url(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return list(cursor.fetchall()) if cursor.description else []

    def usage(self, database: str) -> Usage:
        """Return what the server did so far; statements are those of this database."""
        # CPU first: asking costs some too.
        cpu = self._cpu()
        ((statements,),) = self.ask(
            "postgres",
            "select coalesce(sum(calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid"
            " where d.datname = %s",
            database,
        )
        return Usage(cpu, int(statements))

    def connections(self, database: str) -> int:
        """Return how often somebody connected to this database, by the server's log.

        Not by pg_stat_database, which counts a session when its backend reports, seconds after it came.
        """
        authorized = re.compile(rf"connection authorized: .*\bdatabase={database}\b")
        return len(authorized.findall((self._folder / "log").read_text()))

    def close(self) -> None:
        """Stop both and remove their files."""
        if self._bouncer.poll() is None:
            self._bouncer.terminate()
            self._bouncer.wait(20)
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder)

    def _cpu(self) -> float:
        """Return the CPU seconds of the postmaster, its children, and those that ended."""
        total = sum(_stat(self._postmaster)[11:15])
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    values = _stat(int(entry.name))
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if values[1] == self._postmaster:
                    total += sum(values[11:13])
        return total / _TICKS

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._folder / "data"), *arguments]
        subprocess.run(
            command, check=True, timeout=120, cwd=self._folder, stdout=subprocess.DEVNULL,
            user=self._user, group=self._user,
        )  # fmt: skip


def _stat(pid: int) -> list[int]:
    """Return the fields of /proc/PID/stat after the name, the state as 0; proc(5) numbers them from 3."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *(int(field) for field in fields[1:])]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 20) -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

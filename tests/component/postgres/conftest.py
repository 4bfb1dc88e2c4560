"""Role postgres's own configuration, run by real PostgreSQL and PgBouncer on loopback, not as root."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg2
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PASSWORDS = {"dagster": "pa:ss\\word with $signs", "warehouse": "other"}
POOL_SIZES = {"dagster": 8, "warehouse": 1}
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Storage:
    """A running database, and how to reach it."""

    directory: Path
    port: int
    postgres_pid: int
    pgbouncer_pid: int

    def connect(
        self, user: str, database: str | None = None, **kwargs: str
    ) -> "psycopg2.extensions.connection":
        """Connect through PgBouncer with the user's password, or with another one."""
        options = {"password": PASSWORDS[user]} | kwargs
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            dbname=database or user,
            connect_timeout=20,
            **options,
        )

    def ask(self, user: str, sql: str) -> str:
        """Return the first value that a connection of its own gets."""
        with closing(self.connect(user)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return str(cursor.fetchone()[0])


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    with running_storage(POOL_SIZES) as running:
        yield running


@contextmanager
def running_storage(pool_sizes: dict[str, int]) -> Iterator[Storage]:
    """Run PostgreSQL with PgBouncer before it, which has this many of its connections for each database."""
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    directory = Path(tempfile.mkdtemp(prefix="dagfleet-test-postgres-"))
    os.chown(directory, account.pw_uid, account.pw_gid)
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str | Path) -> subprocess.Popen[bytes]:
        with (directory / f"{Path(command[0]).name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=directory, stdout=log, stderr=log, start_new_session=True, **_identity(account)
            )

    try:
        port = _free_port()
        programs = _newest_postgresql()
        _wait(run(programs / "initdb", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata=data"), directory)
        with (directory / "data/postgresql.conf").open("a") as file:
            file.write("include = '../dagfleet.conf'\n")
        render = partial(_render, directory, account.pw_name, port, pool_sizes)
        render({
            "postgresql.conf": "dagfleet.conf",
            "pg_hba.conf": "data/pg_hba.conf",
            "pg_ident.conf": "data/pg_ident.conf",
        })  # fmt: skip
        started.append(run(programs / "postgres", "-D", "data"))
        verifiers = _make_databases(directory, account)
        render({
            "pgbouncer.ini": "pgbouncer.ini", "pgbouncer-users.txt": "users.txt",
        }, verifiers=verifiers)  # fmt: skip
        started.append(run(shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "pgbouncer.ini"))
        _wait_for_port(port, directory)
        yield Storage(directory, port, *(process.pid for process in started))
    finally:
        for process in reversed(started):
            # PostgreSQL's fast shutdown, and PgBouncer's at once.
            process.send_signal(signal.SIGINT)
            process.wait(WAIT_SECONDS)
        shutil.rmtree(directory)


@pytest.fixture
def password_file(storage: Storage, tmp_path: Path) -> Path:
    """Return a file in which libpq finds dagster's password, as in containers."""
    path = tmp_path / "pgpass"
    escaped = PASSWORDS["dagster"].replace("\\", "\\\\").replace(":", "\\:")
    path.write_text(f"127.0.0.1:{storage.port}:dagster:dagster:{escaped}\n")
    path.chmod(0o600)
    return path


def _identity(account: pwd.struct_passwd) -> dict[str, object]:
    if account.pw_uid == os.getuid():
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _newest_postgresql() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("[0-9]*"), key=lambda path: int(path.name))
    if not versions:
        pytest.fail("PostgreSQL is missing: install the packages postgresql and pgbouncer")
    return versions[-1] / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _render(
    directory: Path, user: str, port: int, pool_sizes: dict[str, int], rendered: dict[str, str], *,
    verifiers: dict[str, str] | None = None,
) -> None:  # fmt: skip
    variables = {
        "postgres_databases": [
            {"name": name, "user": name, "password": PASSWORDS[name], "pool_size": pool_sizes[name]}
            for name in PASSWORDS
        ],
        "postgres_system_user": user,
        "postgres_socket_directory": str(directory),
        "postgres_pgbouncer_port": port,
        "postgres_pgbouncer_users_file": str(directory / "users.txt"),
        "postgres_verifiers": verifiers or {},
        "rendered": {source: str(directory / target) for source, target in rendered.items()},
    }
    (directory / "variables.json").write_text(json.dumps(variables))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", HERE / "render.yml",
         "-e", f"directory={directory}"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=60,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _make_databases(directory: Path, account: pwd.struct_passwd) -> dict[str, str]:
    def administer(sql: str) -> str:
        return subprocess.run(
            ["psql", "--host", directory, "--port=6431", "--dbname=postgres", "--no-align", "--tuples-only",
             "--field-separator= ", "--set=ON_ERROR_STOP=1"],
            input=sql, cwd=directory, check=True, capture_output=True, text=True, timeout=30,
            **_identity(account),
        ).stdout  # fmt: skip

    deadline = time.monotonic() + WAIT_SECONDS
    while not (directory / ".s.PGSQL.6431").exists():
        assert time.monotonic() < deadline, (directory / "postgres.log").read_text()
        time.sleep(0.05)
    administer(
        "".join(
            f"CREATE ROLE {name} LOGIN PASSWORD $secret${password}$secret$;\n"
            f"CREATE DATABASE {name} OWNER {name};\n"
            for name, password in PASSWORDS.items()
        )
    )
    lines = administer(
        "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL;"
    ).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def _wait(process: subprocess.Popen[bytes], directory: Path) -> None:
    assert process.wait(60) == 0, (directory / f"{Path(process.args[0]).name}.log").read_text()


def _wait_for_port(port: int, directory: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, (directory / "pgbouncer.log").read_text()
            time.sleep(0.05)
        else:
            return

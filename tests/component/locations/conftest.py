"""A real PostgreSQL on loopback for the example locations, with a password, as on a fleet."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

LOCATIONS = Path(__file__).parents[3] / "inventory/lab/locations"
sys.path[:0] = [str(LOCATIONS / name) for name in ("etl", "reporting")]


@dataclass(frozen=True)
class Database:
    """An empty warehouse: its URL, which holds no password, and the password."""

    url: str
    password: str


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Database]:
    """Start a cluster of its own on a free port; PostgreSQL refuses root, so root becomes user postgres."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if binaries is None:
        pytest.fail("PostgreSQL's server is missing: apt-get install postgresql")
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="dagfleet-test-warehouse-"))
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if become:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        os.chown(folder / "password", owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        command = [*become, str(binaries / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, timeout=60, cwd=folder, stdout=subprocess.DEVNULL)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("initdb", "-U", "warehouse", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}",
        "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield Database(url=f"postgresql://warehouse@127.0.0.1:{port}", password=password)
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def database(_cluster: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make an empty warehouse for one test, which the locations find in the environment."""
    name = f"warehouse_{secrets.token_hex(4)}"
    connection = psycopg2.connect(f"{_cluster.url}/postgres", password=_cluster.password)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name}")
    connection.close()
    monkeypatch.setenv("WAREHOUSE_URL", f"{_cluster.url}/{name}")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", _cluster.password)
    return Database(url=f"{_cluster.url}/{name}", password=_cluster.password)

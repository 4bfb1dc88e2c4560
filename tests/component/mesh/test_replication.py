"""A standby's PostgreSQL follows the control host's through the mesh, with its password and nobody else's."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.component.mesh.conftest import ROOT, Mesh, wait_until

PASSWORD = "the standby has one of its own"
ACCOUNT = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
COPY = ROOT / "roles/postgres/files/copy-primary.sh"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("[0-9]*"), key=lambda path: int(path.name)) / "bin"


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL on a socket, and nowhere else."""

    directory: Path
    name: str

    @property
    def data(self) -> Path:
        return self.directory / self.name

    @property
    def socket(self) -> tuple[str, ...]:
        folder = self.directory / f"{self.name}.d"
        return ("--host", str(folder), "--port", "6431", "--dbname", "postgres")

    def run(
        self, program: str, *arguments: str | Path, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        as_whom = {"user": ACCOUNT.pw_uid, "group": ACCOUNT.pw_gid} if os.getuid() == 0 else {}
        done = subprocess.run(
            [PROGRAMS / program, *map(str, arguments)],
            cwd=self.directory,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            **as_whom,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, statement: str) -> str:
        """Return the first value, as PostgreSQL's own user."""
        return self.run("psql", "--no-psqlrc", "-At", *self.socket, "--command", statement).stdout.strip()

    def start(self) -> None:
        """Start it; its socket is in a directory of its own."""
        folder = self.directory / f"{self.name}.d"
        folder.mkdir()
        os.chown(folder, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        options = f"-c listen_addresses='' -c port=6431 -c unix_socket_directories={folder}"
        self.run(
            "pg_ctl",
            "start",
            "--wait",
            "--silent",
            "--pgdata",
            self.data,
            "--log",
            f"{self.data}.log",
            "--options",
            options,
        )

    def stop(self) -> None:
        """Stop it as a machine does that loses its power."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)


@pytest.fixture
def primary(mesh: Mesh) -> Iterator[Cluster]:
    directory = Path(tempfile.mkdtemp(prefix="dagfleet-test-replication-"))
    os.chown(directory, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
    cluster = Cluster(directory, "primary")
    cluster.run("initdb", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata", cluster.data)
    # As role postgres writes it: by this password, and by the socket that the mesh ends at.
    hba = f"local all {ACCOUNT.pw_name} peer\nlocal replication dagfleet_standby scram-sha-256\n"
    (cluster.data / "pg_hba.conf").write_text(hba)
    cluster.start()
    (mesh.directory / "primary.sock").symlink_to(cluster.directory / "primary.d" / ".s.PGSQL.6431")
    try:
        cluster.ask(f"CREATE ROLE dagfleet_standby LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        cluster.ask("SELECT pg_create_physical_replication_slot('dagfleet_standby', true)")
        yield cluster
    finally:
        for left in directory.glob("*/postmaster.pid"):
            os.kill(int(left.read_text().split()[0]), signal.SIGQUIT)
        (mesh.directory / "primary.sock").unlink()
        shutil.rmtree(directory, ignore_errors=True)


def copy(
    mesh: Mesh, primary: Cluster, *, password: str = PASSWORD
) -> "tuple[Cluster, subprocess.CompletedProcess[str]]":
    """Copy it as role postgres does on a standby; systemd alone is not there."""
    passfile = primary.directory / "pgpass"
    passfile.write_text(f"127.0.0.1:{mesh.ports['replication']}:*:dagfleet_standby:{password}\n")
    passfile.chmod(0o600)
    os.chown(passfile, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
    stand_ins = primary.directory / "bin"
    stand_ins.mkdir()
    (stand_ins / "systemctl").write_text("#!/bin/sh\n")
    if os.getuid() != 0:
        # Whoever is not root is PostgreSQL's user here.
        (stand_ins / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    for program in stand_ins.iterdir():
        program.chmod(0o755)
    replica = Cluster(primary.directory, "replica")
    replica.data.mkdir()
    (replica.data / "of another cluster").touch()
    done = subprocess.run(
        [
            *("sh", str(COPY), "postgresql@15-dagfleet", str(replica.data), str(mesh.ports["replication"])),
            *(str(passfile), ACCOUNT.pw_name, PROGRAMS.parent.name),
        ],
        env={**os.environ, "PATH": f"{stand_ins}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return replica, done


def test_what_the_control_host_has_written_is_on_the_standby_when_it_takes_over(
    mesh: Mesh, primary: Cluster
) -> None:
    primary.ask("CREATE TABLE runs AS SELECT generate_series(1, 1000) AS id")
    replica, copied = copy(mesh, primary)
    assert copied.returncode == 0, copied.stderr
    assert not (replica.data / "of another cluster").exists()
    replica.start()
    primary.ask("INSERT INTO runs VALUES (1001)")
    wait_until(lambda: replica.ask("SELECT count(*) FROM runs") == "1001", "what was written since")
    written = replica.run("psql", *replica.socket, "--command", "INSERT INTO runs VALUES (0)", check=False)
    assert "read-only transaction" in written.stderr, "it only follows"
    primary.stop()
    assert replica.ask("SELECT pg_promote()") == "t"
    replica.ask("INSERT INTO runs VALUES (1002)")
    assert replica.ask("SELECT max(id) FROM runs") == "1002"


def test_nobody_copies_it_by_another_password(mesh: Mesh, primary: Cluster) -> None:
    replica, refused = copy(mesh, primary, password="guessed")
    assert "password authentication failed" in refused.stderr
    assert (replica.data / "of another cluster").exists(), "what was there stays until a copy is whole"


def test_the_mesh_carries_only_the_standby_there(mesh: Mesh, primary: Cluster) -> None:
    assert primary
    hello = b"\0\0\0\x08\x04\xd2\x16\x2f"
    heard = {}
    for identity in ("gamma", "beta"):
        store = f"pki/{identity}" if identity == "gamma" else "pki"
        name = "mesh-client" if identity == "gamma" else "beta"
        try:
            with mesh.connection(
                "alpha", "mesh", name, name="replication.dagfleet", store=store
            ) as connection:
                connection.sendall(hello)
                heard[identity] = connection.recv(1)
        except OSError:
            heard[identity] = b""
    assert heard == {"gamma": b"N", "beta": b""}

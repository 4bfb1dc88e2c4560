"""Two control hosts' PostgreSQL: one has been at work, one is empty. The program runs as on a host."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest

from tests.component.database import Cluster, Database
from tests.unit.launcher.runs import create_run

PROGRAM = Path(__file__).parents[3] / "roles/backup/files/lib/backup"
# The distribution's, as on a host: whoever becomes postgres may not read root's own.
PYTHON = "/usr/bin/python3"
ACCOUNT = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
STORAGE, OTHER = "dagster", "warehouse"
EVERY_ROW = "SELECT t::text FROM {} t"
RELEASES = '{"number": 1}\n{"number": 2}\n'
# Names, types and values that a careless copy loses.
ODD = """
CREATE SCHEMA "Odd one";
CREATE TABLE "Odd one"."Table ""x"" y" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, raw bytea, x float8, doc jsonb, t text
);
INSERT INTO "Odd one"."Table ""x"" y" (at, raw, x, doc, t) SELECT
    '2026-03-29 01:59:59+01'::timestamptz + n * interval '1 hour', sha256(n::text::bytea), n / 3.0,
    jsonb_build_object('ü', n), repeat(E'\\\\ \\n\\t é ', n % 7) FROM generate_series(1, 5000) n;
CREATE TABLE empty (id int);
"""


@dg.op
def measure() -> int:
    return 1


@dg.job
def measuring() -> None:
    measure()


@dataclass(frozen=True)
class Host:
    """What the role makes of a control host, and how its program is run."""

    folder: Path
    database: Database
    fleet: str = "prod"
    keep: int = 7
    recipient: str = ""
    dagster: str = "1.13.27"
    databases: tuple[str, ...] = (STORAGE, OTHER)

    @property
    def directory(self) -> Path:
        return self.folder / "backups"

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    @property
    def port(self) -> int:
        return int(self.database.url.rpartition(":")[2].partition("/")[0])

    def command(self, *arguments: str) -> list[str]:
        file = self.folder / "backup.json"
        file.write_text(json.dumps({
            "fleet": self.fleet, "directory": str(self.directory), "keep": self.keep,
            "recipient": self.recipient, "databases": dict.fromkeys(self.databases, STORAGE),
            "host": "127.0.0.1", "port": self.port, "user": STORAGE, "account": ACCOUNT,
            "configuration": [str(self.folder / "dagster.yaml")], "releases": str(self.releases),
            "versions": {"dagfleet": "0.1.0", "dagster": self.dagster},
        }))  # fmt: skip
        return [PYTHON, "-IB", str(PROGRAM), "--settings", str(file), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PGPASSFILE": str(self.folder / "pgpass")}

    def backup(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
            env=self.environment,
        )

    def well(self, *arguments: str, stdin: bytes = b"") -> Any:
        """Run it; what it answers."""
        done = self.backup(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def refused(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run what must not work; its two lines."""
        done = self.backup(*arguments, stdin=stdin)
        assert done.returncode == 1, done.stdout.decode() + done.stderr.decode()
        assert not done.stdout
        assert len(done.stderr.decode().splitlines()) == 2, done.stderr.decode()
        return done.stderr.decode()

    def send_to(self, other: "Host", name: str) -> None:
        sent = self.backup("send", name)
        assert sent.returncode == 0
        other.well("receive", name, stdin=sent.stdout)

    def ask(self, statement: str, database: str = "postgres") -> list[Any]:
        with closing(
            psycopg2.connect(
                host="127.0.0.1",
                port=self.port,
                user=STORAGE,
                password=self.database.password,
                dbname=database,
            )
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return [row[0] for row in cursor.fetchall()] if cursor.description else []

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table, and where each sequence stands."""
        found = {}
        for database in self.databases:
            tables = self.ask(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')", database
            )  # fmt: skip
            for table in tables:
                found[f"{database} {table}"] = sorted(self.ask(EVERY_ROW.format(table), database))
            found[f"{database} sequences"] = self.ask(
                "SELECT format('%s.%s %s', schemaname, sequencename, last_value)"
                " FROM pg_sequences ORDER BY 1", database
            )  # fmt: skip
        return found

    def known_databases(self) -> set[str]:
        return set(self.ask("SELECT datname FROM pg_database"))

    def instance(self) -> dg.DagsterInstance:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        url = f"postgresql://{STORAGE}:{self.database.password}@127.0.0.1:{self.port}/{STORAGE}"
        overrides = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
        return dg.DagsterInstance.local_temp(str(home), overrides=overrides)

    def make_empty(self) -> None:
        for name in self.known_databases() - {"postgres", "template0", "template1"}:
            self.ask(f'DROP DATABASE "{name}" WITH (FORCE)')
        for name in self.databases:
            self.ask(f"CREATE DATABASE {name}")


@pytest.fixture(scope="session")
def clusters() -> Iterator[list[Database]]:
    made = [Cluster(user=STORAGE), Cluster(user=STORAGE)]
    try:
        for each in made:
            each.start()
        yield [each.create_database() for each in made]
    finally:
        for each in made:
            each.remove()


@pytest.fixture(scope="session")
def worked(clusters: list[Database]) -> Iterator[Host]:
    """A host on which runs have been made, in all states that matter. Tests leave its rows as they are."""
    with _host(clusters[0]) as host:
        host.make_empty()
        host.ask(ODD, OTHER)
        with host.instance() as instance:
            for _ in range(3):
                measuring.execute_in_process(instance=instance)
            for status in ("QUEUED", "STARTING", "STARTED", "CANCELING"):
                create_run(instance, status=dg.DagsterRunStatus(status))
        yield host


@pytest.fixture
def source(worked: Host) -> Iterator[Host]:
    """The same, without backups so far."""
    shutil.rmtree(worked.directory)
    _private(worked.directory)
    worked.releases.write_text(RELEASES)
    yield worked
    assert not list(worked.directory.glob(".unfinished-*"))


@pytest.fixture
def empty(clusters: list[Database]) -> Iterator[Host]:
    """A control host as an apply leaves it, before anything ran there."""
    with _host(clusters[1]) as host:
        host.make_empty()
        yield host
        assert host.known_databases() == {"postgres", "template0", "template1", *host.databases}


@pytest.fixture(scope="session")
def identity() -> tuple[str, str]:
    """A secret key of age's, and the recipient that it belongs to."""
    return new_identity()


def new_identity() -> tuple[str, str]:
    if shutil.which("age-keygen") is None:
        pytest.fail("age is missing: apt-get install age")
    text = subprocess.run(["age-keygen"], check=True, capture_output=True, text=True).stdout
    recipient = next(line.rpartition(" ")[2] for line in text.splitlines() if "public key" in line)
    return text, recipient


def sealed_for(host: Host, recipient: str) -> Host:
    return replace(host, recipient=recipient)


class _host:  # noqa: N801 -- reads as a context
    def __init__(self, database: Database) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dagfleet-test-backup-"))
        self._database = database

    def __enter__(self) -> Host:
        self._folder.chmod(0o711)
        host = Host(self._folder, self._database)
        (self._folder / "pgpass").write_text(f"*:*:*:*:{self._database.password}\n")
        _private(self._folder / "pgpass")
        _private(host.directory)
        # As in a control host's home: for root alone.
        (self._folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        (self._folder / "dagster.yaml").chmod(0o600)
        return host

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder)


def _private(path: Path) -> None:
    """Give it to PostgreSQL's user alone."""
    if not path.exists():
        path.mkdir()
    path.chmod(0o700 if path.is_dir() else 0o600)
    owner = pwd.getpwnam(ACCOUNT)
    os.chown(path, owner.pw_uid, owner.pw_gid)

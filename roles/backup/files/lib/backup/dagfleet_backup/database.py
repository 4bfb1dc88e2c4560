"""PostgreSQL: a dump and its row counts from one snapshot, and databases made of dumps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from dagfleet_backup.errors import BackupError
from dagfleet_backup.programs import run

SCRATCH = "dagfleet_scratch_"
REPLACED = "dagfleet_replaced_"
PATIENCE_SECONDS = 20

Table = dict[str, Any]
Counts = dict[str, Table]

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1, 2
"""
# The sum does not depend on the order of rows, and differs when any value of any row does.
_COUNT = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
# A row's text must not depend on anybody's settings.
_PLAIN = (
    "SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; "
    "SET bytea_output = 'hex'; SET extra_float_digits = 1"
)

# Whoever has replayed all that came is not behind, however long nothing has happened.
_FOLLOWING = """
SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
    CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
        ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
    pg_last_xact_replay_timestamp()
"""


@dataclass(frozen=True)
class Server:
    """Where PostgreSQL is; who asks is known by their system user, or by libpq's password file."""

    host: str
    port: int
    user: str

    @contextmanager
    def connect(self, database: str) -> Iterator[Any]:
        """Connect, each statement by itself; raises BackupError with PostgreSQL's words."""
        try:
            with closing(
                psycopg2.connect(host=self.host, port=self.port, user=self.user, dbname=database)
            ) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    yield cursor
        except psycopg2.Error as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise BackupError(f"PostgreSQL, database {database}: {lines[0]}") from None

    def replica(self) -> dict[str, Any]:
        """Return how far this PostgreSQL has followed another; `last` is the last transaction that it has."""
        with self.connect("postgres") as cursor:
            cursor.execute(_FOLLOWING)
            recovering, streaming, behind, last = cursor.fetchone()
        return {
            "recovering": recovering,
            "streaming": streaming,
            "seconds_behind": None if behind is None else round(float(behind), 1),
            "last": last.isoformat(timespec="seconds") if last else None,
        }

    def dump(self, database: str, target: Path) -> Counts:
        """Dump a database and return the counts of its tables, both as of one moment."""
        with self.connect(database) as cursor:
            cursor.execute(_PLAIN)
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
            # A table that somebody alters holds the dump up; a minute of that is enough.
            self._program(cursor, "pg_dump", "--format=custom", f"--snapshot={snapshot}",
                          "--lock-wait-timeout=60s", f"--file={target}", f"--dbname={database}")  # fmt: skip
            return _counted(cursor)

    def load(self, dump: Path, *, owner: str, number: int) -> str:
        """Make a scratch database of a dump and return its name."""
        # A name of this process: PostgreSQL may still be at work for one that was killed.
        name = f"{SCRATCH}{os.getpid()}_{number}"
        with self.connect("postgres") as cursor:
            statement = "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0"
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(owner)))
            statement = "REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC"
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
            self._program(cursor, "pg_restore", "--exit-on-error", f"--dbname={name}", str(dump))
        return name

    def counts(self, database: str) -> Counts:
        """Count the rows of all tables."""
        with self.connect(database) as cursor:
            cursor.execute(_PLAIN)
            return _counted(cursor)

    def analyse(self, database: str) -> None:
        """Let the planner know what is in a new database."""
        with self.connect(database) as cursor:
            cursor.execute("ANALYZE")

    def replace(self, scratch: Mapping[str, str]) -> None:
        """Put scratch databases (name to scratch name) in the place of the real ones: all, or none."""
        with self.connect("postgres") as cursor:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                for name in [*scratch, *scratch.values()]:
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
                    )
                try:
                    cursor.execute("BEGIN")
                    for number, (name, new) in enumerate(scratch.items()):
                        cursor.execute(_renaming(name, f"{REPLACED}{number}"))
                        cursor.execute(_renaming(new, name))
                    cursor.execute("COMMIT")
                    break
                except psycopg2.errors.ObjectInUse as error:
                    cursor.execute("ROLLBACK")
                    if time.monotonic() > deadline:
                        words = str(error).strip().splitlines()[0]
                        raise BackupError(
                            f"somebody stays connected: {words}", fix="stop PgBouncer, then try again"
                        ) from None
                    time.sleep(0.2)
        self.sweep()

    def sweep(self) -> None:
        """Drop what a restore or verify has left; databases of other names are never touched."""
        with self.connect("postgres") as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s) OR starts_with(datname, %s)",
                [SCRATCH, REPLACED],
            )
            for (name,) in cursor.fetchall():
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def databases(self) -> set[str]:
        """Return the names of all databases."""
        with self.connect("postgres") as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            return {name for (name,) in cursor.fetchall()}

    def runs(self, database: str) -> int:
        """Return how many of Dagster's runs a database has."""
        with self.connect(database) as cursor:
            cursor.execute("SELECT to_regclass('public.runs') IS NOT NULL")
            if not cursor.fetchone()[0]:
                return 0
            cursor.execute("SELECT count(*) FROM public.runs")
            return int(cursor.fetchone()[0])

    def version(self) -> str:
        """Return the server's version."""
        with self.connect("postgres") as cursor:
            cursor.execute("SHOW server_version")
            return str(cursor.fetchone()[0]).partition(" ")[0]

    def _program(self, cursor: Any, name: str, *arguments: str) -> None:
        """Run one of the server's own programs: those of another version write and read other files."""
        major = cursor.connection.server_version // 10_000
        places = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user}
        run(
            [f"/usr/lib/postgresql/{major}/bin/{name}", "--no-password", *arguments],
            environment={**os.environ, **places},
        )


def differences(wanted: Mapping[str, Table], found: Mapping[str, Table]) -> list[str]:
    """Return what is not as it was, a short text each."""
    told = []
    for name in sorted({*wanted, *found}):
        before, now = wanted.get(name), found.get(name)
        if before == now:
            continue
        if before is None or now is None:
            told.append(f"{name} is {'missing' if now is None else 'new'}")
        elif before["rows"] != now["rows"]:
            told.append(f"{name} has {now['rows']} rows instead of {before['rows']}")
        else:
            told.append(f"{name} has {now['rows']} rows, but not the same ones")
    return told


def _counted(cursor: Any) -> Counts:
    cursor.execute(_TABLES)
    found = {}
    for schema, name in cursor.fetchall():
        cursor.execute(sql.SQL(_COUNT).format(sql.Identifier(schema, name)))
        rows, total = cursor.fetchone()
        found[f"{schema}.{name}"] = {"rows": rows, "sum": total}
    return found


def _renaming(old: str, new: str) -> Any:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))

"""Writes changes of runs into Dagster's tables on PostgreSQL: one statement for tags, events and status.

Dagster's own API makes new connections and some twenty statements for each submit. What is stored here is
what it stores: the rows of `runs`, `run_tags` and `event_logs`, and the notification on `run_events`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, EventLogEntry
from dagster._core.storage.tags import PARTITION_NAME_TAG, PARTITION_SET_TAG
from dagster._serdes import deserialize_value, serialize_value
from dagster._time import datetime_from_timestamp, get_current_datetime
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from clt_queued_run_coordinator.journal.change import POSITION, Change
from clt_queued_run_coordinator.storage.pool import engine as pooled_engine

T = TypeVar("T")

_READ = "select run_id, xmin::text, status, run_body from runs where {where}"

# One statement, so one round trip and one transaction. A row that changed since it was read has another
# xmin and is left alone: whoever asked reads again.
_WRITE = """
with gate as materialized ({gate}),
v (rid, version, status, body, part, part_set, at, ended) as (values {runs}),
u as (
  update runs r set status = v.status, run_body = v.body, update_timestamp = v.at,
    partition = v.part, partition_set = v.part_set, end_time = coalesce(v.ended::float8, r.end_time)
  from v, gate where gate.opens and r.run_id = v.rid and r.xmin = v.version::xid returning r.run_id
),
gone as (
  delete from run_tags t using u, ({dropped}) x (rid, key)
  where u.run_id = x.rid and t.run_id = x.rid and t.key = x.key
),
tagged as (
  insert into run_tags (run_id, key, value)
  select x.rid, x.key, x.value from ({tags}) x (rid, key, value) join u on u.run_id = x.rid
),
logged as (
  insert into event_logs (run_id, event, dagster_event_type, timestamp)
  select x.rid, replace(x.event, %s, (gate.queued + 1)::text), x.kind, x.at
  from ({events}) x (nr, rid, event, kind, at) join u on u.run_id = x.rid, gate order by x.nr
  returning run_id, id
),
told as (select pg_notify('run_events', run_id || '_' || id) from logged)
select gate.queued, gate.of_user, gate.of_location,
  coalesce((select array_agg(run_id) from u), '{{}}'::varchar[]), (select count(*) from told)
from gate
"""


@dataclass(frozen=True)
class Stored:
    """A run as it was read, and the version of its row."""

    run: DagsterRun
    version: str


@dataclass(frozen=True)
class Gate:
    """A condition for a write: a select of `queued`, `of_user`, `of_location` and `opens`.

    `lock` names an advisory lock that is held from before it is evaluated until the write is committed.
    """

    select: str = "select 0 as queued, 0 as of_user, 0 as of_location, true as opens"
    parameters: tuple[Any, ...] = ()
    lock: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """Which runs were changed, and what the gate counted before that."""

    run_ids: frozenset[str]
    queued: int
    of_user: int
    of_location: int


OPEN = Gate()


class PostgresJournal:
    """Reads and changes runs over pooled connections; safe for threads."""

    def __init__(self, engine: Engine, row_of: Callable[[EventLogEntry], Mapping[str, Any]]) -> None:
        self._engine = engine
        self._row_of = row_of

    @classmethod
    def of(cls, instance: DagsterInstance) -> PostgresJournal | None:
        """Return a journal if runs and events of this instance are in one PostgreSQL database."""
        engine = pooled_engine(instance)
        if engine is None or engine.driver != "psycopg2":
            return None
        prepare = instance.event_log_storage.prepare_insert_event  # type: ignore[attr-defined]
        return cls(engine, lambda entry: prepare(entry).compile(dialect=engine.dialect).params)

    def read(self, run_id: str) -> Stored | None:
        """Return the run, or None if there is none of this id."""
        return next(iter(self.read_where("run_id = %s", (run_id,))), None)

    def read_where(self, where: str, parameters: Sequence[Any]) -> list[Stored]:
        """Return the runs of this condition on the table `runs`."""
        return [
            Stored(deserialize_value(body, DagsterRun).with_status(DagsterRunStatus(status)), version)
            for _run_id, version, status, body in self.fetch(_READ.format(where=where), parameters)
        ]

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Return a statement's rows; a connection that was lost meanwhile is made again, once."""
        return self._twice(
            lambda connection: list(connection.exec_driver_sql(statement, tuple(parameters)).fetchall())
        )

    def write(self, changes: Sequence[tuple[Stored, Change]], gate: Gate = OPEN) -> Written:
        """Make those changes whose run is still as it was read, if the gate opens.

        After a lost connection the write is tried again: what was committed has another version by then.
        """
        statement, parameters = self._statement(changes, gate)

        def write(connection: Connection) -> Any:
            # No transaction of its own: PostgreSQL takes the statements of one message as one.
            return connection.exec_driver_sql(statement, parameters).fetchone()

        queued, of_user, of_location, run_ids, _notified = self._twice(write)
        return Written(run_ids=frozenset(run_ids), queued=queued, of_user=of_user, of_location=of_location)

    def _statement(self, changes: Sequence[tuple[Stored, Change]], gate: Gate) -> tuple[str, tuple[Any, ...]]:
        runs = [self._run_row(stored, change) for stored, change in changes]
        dropped: list[tuple[str, str]] = []
        tags: list[tuple[str, str, str]] = []
        events: list[tuple[Any, ...]] = []
        for _stored, change in changes:
            run_id, written = change.after.run_id, change.tags_written
            replaced = [key for key in written if key in change.before.tags]
            dropped += [(run_id, key) for key in (*replaced, *sorted(change.tags_removed))]
            tags += [(run_id, key, value) for key, value in written.items()]
            events += [self._event_row(len(events) + nr, entry) for nr, entry in enumerate(change.events)]
        statement = _WRITE.format(
            gate=gate.select,
            runs=_places(runs),
            dropped=_rows(dropped, "null::text, null::text"),
            tags=_rows(tags, "null::text, null::text, null::text"),
            events=_rows(events, "0, null::text, '', null::text, localtimestamp"),
        )
        lock = "select pg_advisory_xact_lock(hashtextextended(%s, 0));" if gate.lock else ""
        parameters = (
            *((gate.lock,) if gate.lock else ()),
            *gate.parameters,
            *_flat(runs),
            *_flat(dropped),
            *_flat(tags),
            POSITION,
            *_flat(events),
        )
        return lock + statement, parameters

    def _run_row(self, stored: Stored, change: Change) -> tuple[Any, ...]:
        after = change.after
        # Dagster takes both times from the event that changes the status.
        at = change.events[-1].timestamp if change.events else get_current_datetime().timestamp()
        return (
            after.run_id,
            stored.version,
            after.status.value,
            serialize_value(after),
            after.tags.get(PARTITION_NAME_TAG),
            after.tags.get(PARTITION_SET_TAG),
            datetime_from_timestamp(at),
            at if change.finishes and change.events else None,
        )

    def _event_row(self, nr: int, entry: EventLogEntry) -> tuple[Any, ...]:
        row = self._row_of(entry)
        return nr, row["run_id"], row["event"], row["dagster_event_type"], row["timestamp"]

    def _twice(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._once(work)
        except OperationalError as error:
            if not error.connection_invalidated:
                raise
            return self._once(work)

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            return work(connection)


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


def _places(rows: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"({', '.join(['%s'] * len(row))})" for row in rows)


def _rows(rows: Sequence[Sequence[Any]], empty: str) -> str:
    return f"values {_places(rows)}" if rows else f"select {empty} where false"

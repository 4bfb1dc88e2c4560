"""Reads runs, pauses and holds in few statements."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import text

from clt_queued_run_coordinator.queue.ledger import Reading
from clt_queued_run_coordinator.queue.runs import ActiveRun, QueuedRun, kind_of_body
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause

_COLUMNS = "id, run_id, pipeline_name, status, run_body, create_timestamp, start_time"
_LIVE = "status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')"
_ALL = text(f"select {_COLUMNS} from runs where {_LIVE} and id > :after order by id limit :page")  # noqa: S608
_SOME = text(f"select {_COLUMNS} from runs where {_LIVE} and run_id = any(:ids) order by id")  # noqa: S608
_STATUSES = text(f"select run_id, status, update_timestamp from runs where {_LIVE}")  # noqa: S608
_PAUSES = text(
    "select kind, name, extract(epoch from since)::float, paused_by, reason from dagfleet_queue_pauses"
)
_HOLDS = text(
    "select kind, name, extract(epoch from not_before)::float, reason from dagfleet_queue_holds"
    " where not_before > now()"
)
# A body is some kilobytes: a page is some megabytes.
PAGE = 2000


def everything(connection: sqlalchemy.Connection, keys: frozenset[str]) -> Reading:
    """Read all queued and active runs, a page at a time."""
    rows: list[Any] = []
    after = 0
    while page := connection.execute(_ALL, {"after": after, "page": PAGE}).all():
        rows += _parsed(page, keys)
        after = page[-1].id
        if len(page) < PAGE:
            break
    return _reading(rows)


def some(connection: sqlalchemy.Connection, run_ids: Collection[str], keys: frozenset[str]) -> Reading:
    """Read those of these runs that are queued or active."""
    return _reading(_parsed(connection.execute(_SOME, {"ids": list(run_ids)}).all(), keys))


def statuses(connection: sqlalchemy.Connection) -> Iterator[tuple[str, str, float]]:
    """Yield each queued or active run's id, status and time of its last write in epoch seconds."""
    for run_id, status, written in connection.execute(_STATUSES):
        yield run_id, status, _epoch(written)


def pauses(connection: sqlalchemy.Connection) -> Sequence[Pause]:
    """Read what is paused."""
    return [Pause(*row) for row in connection.execute(_PAUSES)]


def holds(connection: sqlalchemy.Connection) -> Sequence[Hold]:
    """Read the holds that are not over."""
    return [Hold(*row) for row in connection.execute(_HOLDS)]


def _parsed(rows: Iterable[Any], keys: frozenset[str]) -> Iterator[QueuedRun | ActiveRun]:
    for row in rows:
        kind = kind_of_body(row.run_body, keys)
        if row.status == "QUEUED":
            yield QueuedRun(row.id, row.run_id, row.pipeline_name, kind, _epoch(row.create_timestamp))
        else:
            yield ActiveRun(row.run_id, kind, row.status, row.start_time)


def _reading(runs: Iterable[QueuedRun | ActiveRun]) -> Reading:
    found = list(runs)
    return Reading(
        tuple(run for run in found if isinstance(run, QueuedRun)),
        tuple(run for run in found if isinstance(run, ActiveRun)),
    )


def _epoch(naive: datetime) -> float:
    # Dagster stores UTC without a zone.
    return naive.replace(tzinfo=UTC).timestamp()

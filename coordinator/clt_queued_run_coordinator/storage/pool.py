"""One pooled engine per instance and process; Dagster's own opens a connection per statement."""

import threading
import weakref
from typing import Any

import sqlalchemy
from dagster import DagsterInstance
from dagster._core.storage.legacy_storage import LegacyEventLogStorage, LegacyRunStorage

_engines: "weakref.WeakKeyDictionary[Any, sqlalchemy.Engine]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()

# A pass, its launch lanes and the reports of their outcomes; more only queue up behind PostgreSQL.
CONNECTIONS = 5
OVERFLOW = 10


def engine(instance: DagsterInstance) -> sqlalchemy.Engine | None:
    """Return the pooled engine of the instance's storage; None where it is not one PostgreSQL database.

    Runs and events are claimed in one statement, so both must live in the same database.
    """
    storage = _postgres_storage(instance)
    if storage is None:
        return None
    with _lock:
        if storage not in _engines:
            _engines[storage] = _pooled(storage)
        return _engines[storage]


def _postgres_storage(instance: DagsterInstance) -> Any | None:
    runs: Any = _unwrapped(instance.run_storage, LegacyRunStorage, "run_storage")
    events: Any = _unwrapped(instance.event_log_storage, LegacyEventLogStorage, "event_log_storage")
    urls = {getattr(storage, "postgres_url", None) for storage in (runs, events)}
    return runs if len(urls) == 1 and None not in urls else None


def _unwrapped(storage: Any, view: Any, part: str) -> Any:
    """Return the storage behind a view of one that serves runs, events and schedules together."""
    return getattr(storage._storage, part) if isinstance(storage, view) else storage


def _pooled(storage: Any) -> sqlalchemy.Engine:
    create: Any
    arguments = [storage.postgres_url]
    # Of 1.13 only: how to log in with a short-lived token.
    if hasattr(storage, "_token_provider"):
        from dagster_postgres.utils import create_pg_engine

        create = create_pg_engine
        arguments.append(storage._token_provider)
    else:
        from dagster._core.storage.sql import create_engine

        create = create_engine
    made: sqlalchemy.Engine = create(
        *arguments,
        isolation_level="AUTOCOMMIT",
        pool_size=CONNECTIONS,
        max_overflow=OVERFLOW,
        pool_pre_ping=False,
        pool_recycle=1800,
    )
    return made

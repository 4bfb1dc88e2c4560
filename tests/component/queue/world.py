"""One database with an instance's queue in it, filled and read by plain statements."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events.log import EventLogEntry
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._serdes import serialize_value


@dataclass(frozen=True)
class World:
    """A database and the folder of the instance that uses it."""

    url: str
    home: Path

    @property
    def launched(self) -> Path:
        """The file that the launcher appends to."""
        return self.home / "launched"

    def execute(self, statement: str, *parameters: Any) -> list[Any]:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

    def enqueue(self, runs: Sequence[DagsterRun]) -> list[str]:
        """Put runs into the queue as the coordinator does, in one transaction."""
        now = time.time()
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor,
                "insert into runs (run_id, pipeline_name, status, run_body, create_timestamp,"
                " update_timestamp) values %s",
                [(run.run_id, run.job_name, run.status.value, serialize_value(run)) for run in runs],
                template="(%s, %s, %s, %s, now() at time zone 'utc', now() at time zone 'utc')",
            )
            psycopg2.extras.execute_values(
                cursor,
                "insert into run_tags (run_id, key, value) values %s",
                [(run.run_id, key, value) for run in runs for key, value in run.tags.items()]
                or [("", "", "")],
            )
            psycopg2.extras.execute_values(
                cursor,
                "insert into event_logs (run_id, event, dagster_event_type, timestamp) values %s",
                [(run.run_id, _enqueued(run, now)) for run in runs],
                template="(%s, %s, 'PIPELINE_ENQUEUED', now() at time zone 'utc')",
            )
        return [run.run_id for run in runs]

    def launches(self) -> list[str]:
        """Return the launched runs in the order of their launches."""
        return self.launched.read_text().split()

    def statuses(self) -> Mapping[str, str]:
        return dict(self.execute("select run_id, status from runs"))

    def events(self, run_id: str) -> list[str]:
        found = self.execute(
            "select dagster_event_type from event_logs where run_id = %s order by id", run_id
        )
        return [kind for (kind,) in found]

    def messages(self, run_id: str) -> list[str]:
        return [body for (body,) in self.execute("select event from event_logs where run_id = %s", run_id)]

    def instance(self) -> DagsterInstance:
        return DagsterInstance.from_config(str(self.home))

    def end(self, run_ids: Sequence[str], status: str = "SUCCESS") -> None:
        self.execute("update runs set status = %s where run_id = any(%s)", status, list(run_ids))


def queued_run(
    location: str = "etl",
    *,
    priority: int | None = None,
    tags: Mapping[str, str] | None = None,
    pools: RunOpConcurrency | None = None,
) -> DagsterRun:
    """Return a run as the control plane creates it, in the queue."""
    found = {**(tags or {}), "code_location": location}
    if priority is not None:
        found["dagster/priority"] = str(priority)
    origin = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name=location)
    return DagsterRun(
        job_name="job",
        run_id=str(uuid.uuid4()),
        status=DagsterRunStatus.QUEUED,
        tags=found,
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, "repository"), "job"),
        run_op_concurrency=pools,
    )


def eventually(condition: Callable[[], object], *, within: float = 60) -> None:
    """Wait until something holds; a generous bound for a slow machine, not a measurement."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)


def _enqueued(run: DagsterRun, now: float) -> str:
    event = DagsterEvent.job_enqueue(run)
    return serialize_value(
        EventLogEntry(
            error_info=None, level=20, user_message="", run_id=run.run_id, timestamp=now,
            job_name=run.job_name, dagster_event=event,
        )
    )  # fmt: skip

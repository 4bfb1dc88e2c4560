"""Databases with a queue in them: thousands of runs, copied from one that Dagster made."""

from __future__ import annotations

import io
import uuid
from contextlib import closing
from pathlib import Path

import psycopg2
import yaml
from dagster import DagsterEvent, DagsterInstance, DagsterRunStatus
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value

from tests.bench.queue.server import Server
from tests.unit.launcher.runs import create_run

LOCATIONS = tuple(f"location-{number:02d}" for number in range(50))
ACTIVE = 10
USER = "anonymous"
_RUN, _LOCATION = "00000000-0000-4000-8000-000000000000", "location-of-this-run"


def empty(server: Server, folder: Path) -> str:
    """Make a database with Dagster's tables and return its name."""
    name = server.create()
    with _instance(server, name, folder):
        return name


def queue(server: Server, folder: Path, template: str, *, queued: int, created: int = 0) -> str:
    """Make a database with this many queued runs in turn of 50 locations, and ten active ones before them.

    `created` more are not yet submitted; they have no tags of ours.
    """
    name = server.create(template)
    with _instance(server, name, folder) as instance:
        run = create_run(
            instance, location=_LOCATION, status=DagsterRunStatus.NOT_STARTED, job_name="nightly"
        )
        bare = serialize_value(run)
        tags = {"code_location": _LOCATION, "user": USER}
        tagged = serialize_value(run.with_tags({**run.tags, **tags}))
        entry = EventLogEntry(
            user_message="", level=20, job_name="nightly", run_id=run.run_id, error_info=None,
            timestamp=1_700_000_000.0, dagster_event=DagsterEvent.job_enqueue(run),
        )  # fmt: skip
        event = serialize_value(entry)
        snapshot, original = run.job_snapshot_id, run.run_id
        stored_tags = run.tags_for_storage() | tags
        instance.delete_run(run.run_id)
    runs, run_tags, events = io.StringIO(), io.StringIO(), io.StringIO()
    for number in range(ACTIVE + queued + created):
        location, run_id = LOCATIONS[number % len(LOCATIONS)], str(uuid.uuid4())
        status = "STARTED" if number < ACTIVE else "QUEUED" if number < ACTIVE + queued else "NOT_STARTED"
        body = bare if status == "NOT_STARTED" else tagged

        def of_this(text: str, location: str = location, run_id: str = run_id) -> str:
            text = text.replace(original, run_id).replace(_LOCATION, location)
            return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

        runs.write(f"{run_id}\t{snapshot or chr(92) + 'N'}\tnightly\t{status}\t{of_this(body)}\n")
        for key, value in stored_tags.items():
            if status != "NOT_STARTED" or key not in tags:
                run_tags.write(f"{run_id}\t{key}\t{of_this(value)}\n")
        if status != "NOT_STARTED":
            events.write(f"{run_id}\t{of_this(event)}\tPIPELINE_ENQUEUED\t2026-01-01 00:00:00\n")
    with closing(psycopg2.connect(server.url(name))) as connection, connection, connection.cursor() as cursor:
        for table, columns, rows in (
            ("runs", ("run_id", "snapshot_id", "pipeline_name", "status", "run_body"), runs),
            ("run_tags", ("run_id", "key", "value"), run_tags),
            ("event_logs", ("run_id", "event", "dagster_event_type", "timestamp"), events),
        ):
            rows.seek(0)
            cursor.copy_from(rows, table, columns=columns)
    server.ask(name, "vacuum analyze")
    return name


def _instance(server: Server, database: str, folder: Path) -> DagsterInstance:
    folder.mkdir(exist_ok=True)
    storage = {"storage": {"postgres": {"postgres_url": server.url(database)}}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(storage | {"telemetry": {"enabled": False}}))
    return DagsterInstance.from_config(str(folder))

"""Submitting over pooled connections stores what Dagster's own submit stores, only with fewer statements."""

from __future__ import annotations

import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg2
import pytest
import sqlalchemy
from clt_queued_run_coordinator.journal.postgres import PostgresJournal
from clt_queued_run_coordinator.storage.pool import engine
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget

from tests.component.coordinator.conftest import Deployment, Load

STOCK = {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}
CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{10}\.\d+")


def rows(url: str, run_id: str) -> dict[str, list[Any]]:
    """Return what the database holds of a run, without ids and times."""
    found: dict[str, list[Any]] = {}
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for name, select in {
            "runs": "select run_body, status, pipeline_name, snapshot_id, partition, partition_set,"
            " backfill_id, start_time, end_time, update_timestamp is null from runs where run_id = %s",
            "run_tags": "select key, value from run_tags where run_id = %s order by key",
            "event_logs": "select event, dagster_event_type, step_key, asset_key, partition,"
            " abs(extract(epoch from timestamp - (now() at time zone 'utc'))) < 600"
            " from event_logs where run_id = %s order by id",
        }.items():
            cursor.execute(select, (run_id,))
            found[name] = [
                tuple(CHANGING.sub("…", value) if isinstance(value, str) else value for value in row)
                for row in cursor.fetchall()
            ]
    return found


def test_the_rows_are_those_of_dagsters_own_submit(load: Load, postgres_url: str) -> None:
    stock, ours = load(postgres_url, STOCK), load(postgres_url)
    tags = {"dagster/partition": "2026-11-20", "dagster/partition_set": "days", "team": "data"}
    trusted = {"code_location": "etl", "user": "anonymous"}
    theirs = stock.submitted(tags=tags | trusted)
    mine = ours.submitted(tags=tags)
    by_stock, by_us = rows(postgres_url, theirs.run_id), rows(postgres_url, mine.run_id)
    # A mapping's order in the stored body is the order in which its tags were added.
    assert by_us["run_tags"] == by_stock["run_tags"]
    assert by_us["event_logs"] == by_stock["event_logs"]
    assert by_us["runs"][0][1:] == by_stock["runs"][0][1:]
    assert ours.stored(mine).tags == stock.stored(theirs).tags
    assert ours.stored(mine)._replace(run_id="", tags={}) == stock.stored(theirs)._replace(run_id="", tags={})


def test_a_listener_on_dagsters_channel_hears_of_the_event(on_postgres: Load, postgres_url: str) -> None:
    deployed = on_postgres()
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("listen run_events")
            run = deployed.submitted()
            cursor.execute("select id from event_logs where run_id = %s", (run.run_id,))
            (event_id,) = cursor.fetchone()
        connection.poll()
        assert [notify.payload for notify in connection.notifies] == [f"{run.run_id}_{event_id}"]


def test_listeners_in_the_same_process_hear_of_the_event(on_postgres: Load) -> None:
    deployed, heard = on_postgres(), []
    run = deployed.create()
    deployed.instance.add_event_listener(run.run_id, heard.append)
    deployed.submit(run)
    assert [entry.dagster_event.event_type_value for entry in heard] == ["PIPELINE_ENQUEUED"]


@contextmanager
def watched(deployed: Deployment) -> Iterator[Counter[str]]:
    """Count the statements and the new connections of the pool."""
    pool, seen = engine(deployed.instance), Counter[str]()
    assert pool is not None
    sqlalchemy.event.listen(pool, "before_cursor_execute", lambda *_: seen.update(["statements"]))
    sqlalchemy.event.listen(pool, "connect", lambda *_: seen.update(["connections"]))
    yield seen


@pytest.mark.parametrize("config", [{}, {"admission": {}}])
def test_a_submit_takes_two_statements_and_no_new_connection(
    on_postgres: Load, config: dict[str, Any]
) -> None:
    deployed = on_postgres(**config)
    deployed.submitted()
    with watched(deployed) as seen:
        deployed.submitted(tags={"code_location": "forged"})
    assert seen == {"statements": 2}


def test_whoever_sees_the_run_queued_sees_its_tags(on_postgres: Load, postgres_url: str) -> None:
    deployed = on_postgres()
    with closing(psycopg2.connect(postgres_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("""
            create table seen (tags bigint);
            create function look() returns trigger language plpgsql as $$ begin
              insert into seen select count(*) from run_tags where run_id = new.run_id
                and (key, value) in (('code_location', 'etl'), ('code_location_claimed', 'forged'));
              return null; end $$;
            create constraint trigger look after update on runs deferrable initially deferred
              for each row when (new.status = 'QUEUED') execute function look()""")
    deployed.submitted(tags={"code_location": "forged"})
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select tags from seen")
        assert cursor.fetchall() == [(2,)]


def test_a_tag_that_somebody_writes_meanwhile_is_kept(
    on_postgres: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = on_postgres()
    run = deployed.create()
    read = PostgresJournal.read

    def read_then_overtaken(journal: PostgresJournal, run_id: str) -> Any:
        stored = read(journal, run_id)
        if "note" not in deployed.stored(run).tags:
            deployed.instance.add_run_tags(run_id, {"note": "important"})
        return stored

    monkeypatch.setattr(PostgresJournal, "read", read_then_overtaken)
    assert deployed.submit(run).tags["note"] == "important"
    assert deployed.stored(run).status == DagsterRunStatus.QUEUED


def test_a_lost_connection_is_made_again(on_postgres: Load, postgres_url: str) -> None:
    deployed = on_postgres()
    deployed.submitted()
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert deployed.submitted().status == DagsterRunStatus.QUEUED


def test_a_run_that_several_submit_at_once_is_queued_once(on_postgres: Load) -> None:
    deployed = on_postgres(admission={})
    run = deployed.create()
    results = []
    threads = [Thread(target=lambda: results.append(deployed.submit(run).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [DagsterRunStatus.QUEUED] * 8
    assert Counter(kind for kind, _ in deployed.messages(run)) == {"PIPELINE_ENQUEUED": 1}


def submit_all(folder: Path, run_ids: list[str], together: Barrier) -> None:
    """Be a web server: load the instance, wait for the others, submit."""
    with (
        DagsterInstance.from_config(str(folder)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        deployed = Deployment(context, folder)
        runs = [instance.get_run_by_id(run_id) for run_id in run_ids]
        together.wait(60)
        for run in runs:
            assert run is not None
            deployed.submit(run)


def at_once(folder: Path, shares: list[list[str]]) -> None:
    """Submit from as many processes as there are shares, which begin together."""
    # A forked process has Dagster imported already.
    forking = multiprocessing.get_context("fork")
    together = forking.Barrier(len(shares))
    processes = [forking.Process(target=submit_all, args=(folder, share, together)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0


def test_web_servers_that_submit_at_once_fill_the_queue_exactly(on_postgres: Load) -> None:
    deployed = on_postgres(admission={"max_queue_size": 25, "max_runs_per_user": -1})
    runs = [deployed.create().run_id for _ in range(40)]
    at_once(deployed.folder, [runs[start::4] for start in range(4)])
    statuses = Counter(run.status for run in deployed.instance.get_runs())
    assert statuses == {DagsterRunStatus.QUEUED: 25, DagsterRunStatus.FAILURE: 15}


def test_web_servers_that_submit_at_once_keep_a_users_cap(on_postgres: Load) -> None:
    deployed = on_postgres(admission={"max_runs_per_user": 7})
    runs = [deployed.create().run_id for _ in range(20)]
    # Each process submits all of them: every run is decided once, whoever comes first.
    at_once(deployed.folder, [runs, runs[::-1]])
    stored = deployed.instance.get_runs()
    assert Counter(run.status for run in stored) == {DagsterRunStatus.QUEUED: 7, DagsterRunStatus.FAILURE: 13}
    assert all(len(deployed.messages(run)) == 1 for run in stored)

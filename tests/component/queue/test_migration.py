"""The queue's own tables and triggers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from clt_queued_run_coordinator.storage import migration, pool

from tests.component.queue.conftest import MakeWorld, Nursery
from tests.component.queue.world import eventually, queued_run


def test_several_processes_at_once_make_them_once(make_world: MakeWorld) -> None:
    world = make_world()
    world.execute("drop table dagfleet_queue_version, dagfleet_queue_leader")
    with world.instance() as instance:
        engine = pool.engine(instance)
        assert engine is not None
        with ThreadPoolExecutor(4) as processes:
            list(processes.map(migration.ensure, [engine] * 4))
        engine.dispose()

    assert world.execute("select count(*) from dagfleet_queue_version") == [(1,)]
    tables = world.execute(
        "select tgrelid::regclass::text from pg_trigger where tgname like 'dagfleet_queue_pools'"
    )
    assert sorted(tables) == [("concurrency_limits",), ("concurrency_slots",), ("pending_steps",)]


def test_polls_where_it_may_make_no_tables(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(dequeue_interval_seconds=1)
    world.execute("drop table dagfleet_queue_version")
    world.execute("create table dagfleet_queue_version (nothing int)")
    [run_id] = world.enqueue([queued_run()])
    nursery.start(world)

    eventually(lambda: world.launches() == [run_id])


def test_a_pause_of_an_unknown_kind_is_refused(make_world: MakeWorld) -> None:
    world = make_world()
    with pytest.raises(psycopg2.errors.CheckViolation):
        world.execute("insert into dagfleet_queue_pauses values ('moon', 'etl', now(), 'ann', '')")

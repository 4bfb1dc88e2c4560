"""Nothing is lost and nothing launched twice, whatever dies and whenever."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter

from tests.component.database import Cluster
from tests.component.queue.conftest import MakeWorld, Nursery
from tests.component.queue.world import World, eventually, queued_run

KILLS = 100


def launched_once(world: World, run_ids: list[str]) -> None:
    """Wait until every run was launched, then check that none was launched twice."""
    eventually(lambda: set(run_ids) <= set(world.launches()))
    twice = {run_id: times for run_id, times in Counter(world.launches()).items() if times > 1}
    assert not twice
    assert set(world.statuses().values()) == {"STARTING"}


def test_a_daemon_killed_at_any_statement_loses_nothing(make_world: MakeWorld, nursery: Nursery) -> None:
    """A hundred daemons one after the other, each killed before or after one of its statements.

    One that has launched everything before it comes to that statement is killed after three seconds.
    """
    world = make_world(max_concurrent_runs=-1)
    # A daemon reads, claims, hands over and settles within its first dozen statements.
    moments = itertools.cycle(range(2, 28))
    run_ids: list[str] = []

    for _ in range(KILLS):
        run_ids += world.enqueue([queued_run("etl"), queued_run("reporting")])
        nursery.wait(nursery.start(world, die_at=next(moments)), within=3)
    nursery.start(world)

    launched_once(world, run_ids)


def test_a_standby_takes_over_from_a_leader_that_dies(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=-1)
    run_ids = world.enqueue([queued_run() for _ in range(3)])
    leader = nursery.start(world)
    launched_once(world, run_ids)
    nursery.start(world)

    nursery.kill(leader)
    run_ids += world.enqueue([queued_run() for _ in range(3)])

    launched_once(world, run_ids)


def test_a_leader_that_was_stopped_launches_nothing_more(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=-1)
    leader = nursery.start(world)
    run_ids = world.enqueue([queued_run() for _ in range(3)])
    launched_once(world, run_ids)
    nursery.start(world)

    os.kill(leader, signal.SIGSTOP)
    run_ids += world.enqueue([queued_run() for _ in range(20)])
    launched_once(world, run_ids)
    os.kill(leader, signal.SIGCONT)
    run_ids += world.enqueue([queued_run() for _ in range(20)])

    launched_once(world, run_ids)


def test_a_leader_stopped_in_the_middle_of_launching_launches_nothing_twice(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world(max_concurrent_runs=-1)
    run_ids = world.enqueue([queued_run(f"l{n % 5}") for n in range(300)])
    leader = nursery.start(world)
    eventually(lambda: len(world.launches()) > 10)
    nursery.start(world)

    os.kill(leader, signal.SIGSTOP)
    eventually(lambda: leads_not(world, leader))
    os.kill(leader, signal.SIGCONT)

    launched_once(world, run_ids)


def test_a_restart_of_postgresql_loses_nothing(
    make_world: MakeWorld, nursery: Nursery, cluster: Cluster
) -> None:
    world = make_world(max_concurrent_runs=-1)
    run_ids = world.enqueue([queued_run(f"l{n % 5}") for n in range(300)])
    nursery.start(world)
    eventually(lambda: len(world.launches()) > 10)

    cluster.stop()
    cluster.start()

    run_ids += world.enqueue([queued_run() for _ in range(3)])
    launched_once(world, run_ids)


def leads_not(world: World, pid: int) -> bool:
    [(holder,)] = world.execute("select holder from dagfleet_queue_leader")
    return not holder.endswith(f"process {pid}")

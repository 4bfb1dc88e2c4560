"""What a queue daemon of ours does as runs come and go."""

from __future__ import annotations

from tests.component.queue.conftest import MakeWorld, Nursery
from tests.component.queue.world import eventually, queued_run


def test_launches_what_is_queued_when_it_starts(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world()
    run_ids = world.enqueue([queued_run() for _ in range(5)])

    nursery.start(world)

    eventually(lambda: len(world.launches()) == 5)
    assert set(world.launches()) == set(run_ids)
    assert world.events(run_ids[0]) == ["PIPELINE_ENQUEUED", "PIPELINE_STARTING"]
    assert set(world.statuses().values()) == {"STARTING"}


def test_launches_the_next_run_when_one_ends(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=1)
    run_ids = world.enqueue([queued_run() for _ in range(3)])
    nursery.start(world)

    for done in range(3):
        eventually(lambda done=done: len(world.launches()) == done + 1)
        world.end([run_ids[done]])

    assert world.launches() == run_ids


def test_a_location_that_hangs_keeps_no_other_waiting(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=-1)
    world.enqueue([queued_run("hangs") for _ in range(20)])
    others = world.enqueue([queued_run("etl") for _ in range(20)])

    nursery.start(world)

    eventually(lambda: set(world.launches()) == set(others))
    assert sum(status == "QUEUED" for status in world.statuses().values()) >= 20 - 8

"""What a queue daemon of ours does as runs come and go."""

from __future__ import annotations

from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._serdes import serialize_value

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


def test_a_launcher_that_says_not_now_gets_the_run_again_and_nothing_counts_as_a_failure(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world(max_concurrent_runs=-1, max_user_code_failure_retries=1)
    [full, *rest] = world.enqueue([queued_run("full") for _ in range(3)])
    nursery.start(world)

    eventually(lambda: world.events(full).count("PIPELINE_STARTING") >= 3)

    assert world.execute("select 1 from runs where status = 'FAILURE'") == []
    assert any("Back in the queue: Every host of it is full." in text for text in world.messages(full))
    # The rest of the location waits with it, instead of knocking one after the other.
    assert sum(world.events(run_id).count("PIPELINE_STARTING") for run_id in rest) <= 2 * 8


def test_a_code_server_that_cannot_be_reached_is_tried_as_often_as_configured(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world(max_user_code_failure_retries=1, user_code_failure_retry_delay=1)
    [run_id] = world.enqueue([queued_run("unreachable")])
    nursery.start(world)

    eventually(lambda: world.statuses()[run_id] == "FAILURE")

    assert world.events(run_id).count("PIPELINE_STARTING") == 2
    assert world.events(run_id).count("PIPELINE_ENQUEUED") == 2


def test_any_other_failure_of_a_launch_is_final(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_user_code_failure_retries=3)
    [run_id] = world.enqueue([queued_run("broken")])
    nursery.start(world)

    eventually(lambda: world.statuses()[run_id] == "FAILURE")

    assert any("unrecoverable error while dequeuing" in text for text in world.messages(run_id))


def test_a_paused_location_waits_until_it_is_resumed_and_says_so(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world()
    world.execute("insert into dagfleet_queue_pauses values ('location', 'etl', now(), 'ann', 'new disks')")
    [paused] = world.enqueue([queued_run("etl")])
    [other] = world.enqueue([queued_run("reporting")])
    nursery.start(world)
    eventually(lambda: world.launches() == [other])

    eventually(lambda: any("Location etl was paused by ann: new disks." in t for t in world.messages(paused)))
    world.execute("delete from dagfleet_queue_pauses")

    eventually(lambda: world.launches() == [other, paused])


def test_a_paused_host_takes_no_run_until_it_is_resumed(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world()
    world.execute("insert into dagfleet_queue_pauses values ('host', 'beta', now(), 'ann', 'new disks')")
    [kept] = world.enqueue([queued_run("on-beta")])
    [other] = world.enqueue([queued_run("etl")])
    nursery.start(world)
    eventually(lambda: world.launches() == [other] and world.events(kept).count("PIPELINE_STARTING"))
    eventually(lambda: world.statuses()[kept] == "QUEUED")

    world.execute("delete from dagfleet_queue_pauses")

    # The launcher asked for an hour; the host that is back ends that.
    eventually(lambda: world.launches() == [other, kept])
    assert "multihost/avoid_hosts" not in dict(
        world.execute("select key, value from run_tags where run_id = %s", kept)
    )


def test_a_run_that_waits_for_its_own_host_holds_up_no_other_of_its_location(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world(max_concurrent_runs=1)
    [pinned] = world.enqueue([queued_run("etl", tags={"multihost/host": "full"})])
    [free] = world.enqueue([queued_run("etl")])
    nursery.start(world)

    eventually(lambda: world.launches() == [free])
    assert world.statuses()[pinned] == "QUEUED"


def test_a_priority_that_changes_in_the_queue_counts(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=1)
    [first, second, third] = [queued_run() for _ in range(3)]
    world.enqueue([first, second, third])
    nursery.start(world)
    eventually(lambda: world.launches() == [first.run_id])

    urgent = third.with_tags({**third.tags, "dagster/priority": "5"})
    world.execute("update runs set run_body = %s where run_id = %s", serialize_value(urgent), third.run_id)
    world.end([first.run_id])

    eventually(lambda: world.launches() == [first.run_id, third.run_id])


def test_a_canceled_run_is_not_launched_and_a_run_that_waits_too_long_expires(
    make_world: MakeWorld, nursery: Nursery
) -> None:
    world = make_world(max_concurrent_runs=0, admission={"stale_timeout_seconds": 3})
    [canceled, stale] = world.enqueue([queued_run() for _ in range(2)])
    world.end([canceled], "CANCELED")
    nursery.start(world)

    eventually(lambda: world.statuses()[stale] == "CANCELED")

    assert world.launches() == []
    assert world.events(stale)[-2:] == ["PIPELINE_CANCELING", "PIPELINE_CANCELED"]
    assert any("expired after 3 s in the queue." in text for text in world.messages(stale))


def test_a_notification_that_was_missed_heals(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(max_concurrent_runs=1)
    run_ids = world.enqueue([queued_run() for _ in range(2)])
    nursery.start(world)
    eventually(lambda: world.launches() == run_ids[:1])

    world.execute("alter table runs disable trigger all")
    world.end(run_ids[:1])
    world.execute("alter table runs enable trigger all")
    # Its session breaks, and the new one begins by reading everything.
    world.execute("select pg_terminate_backend(backend) from dagfleet_queue_leader")

    eventually(lambda: world.launches() == run_ids)


def test_a_run_waits_for_a_pool_until_its_limit_is_raised(make_world: MakeWorld, nursery: Nursery) -> None:
    world = make_world(settings={"concurrency": {"pools": {"granularity": "run"}}})
    demand = RunOpConcurrency(all_pools={"db"}, root_key_counts={"db": 1}, has_unconstrained_root_nodes=False)
    with world.instance() as instance:
        instance.event_log_storage.set_concurrency_slots("db", 1)
        run_ids = world.enqueue([queued_run(pools=demand) for _ in range(2)])
        nursery.start(world)
        eventually(lambda: world.launches() == run_ids[:1])

        instance.event_log_storage.set_concurrency_slots("db", 2)

        eventually(lambda: world.launches() == run_ids)

"""Which runs a drain waits for, and how it ends; queue and host are doubled here, real in tests/e2e."""

from typing import Any

import pytest
from dagfleet.control.plane import RunState
from dagfleet.control.queueing import Pause
from dagfleet.errors import DagfleetError
from dagfleet.fleet import FleetFile
from dagfleet.phases.draining import empty, hold, let_go, residents

from tests.unit.phases.conftest import Heard


def a_run(name: str, location: str, status: str = "STARTED", host: str | None = None) -> RunState:
    tags = {"multihost_docker/host_name": host} if host else {}
    return RunState(name, f"job-{name}", location, status, 0, 0, None, tags)


class Queue:
    """Remembers pauses as the run queue does."""

    def __init__(self, *paused: Pause) -> None:
        self.paused = {(each.kind, each.name): each for each in paused}

    def pauses(self) -> list[Pause]:
        return list(self.paused.values())

    def pause(self, kind: str, name: str, reason: str) -> None:
        self.paused[kind, name] = Pause(kind, name, 0, "me", reason)

    def resume(self, kind: str, name: str) -> bool:
        return self.paused.pop((kind, name), None) is not None


class Control:
    """A control plane whose active runs end, one look after the other."""

    def __init__(self, *looks: list[RunState]) -> None:
        self.looks = list(looks)

    def active(self) -> list[RunState]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def test_a_drain_waits_for_what_works_there_and_for_what_may_still_come(fleet_file: FleetFile) -> None:
    active = [
        a_run("here", "etl", host="beta"),
        a_run("elsewhere", "etl", host="gamma"),
        a_run("under-way", "etl", "STARTING"),
        a_run("other", "reporting", "STARTING"),
    ]
    assert set(residents(fleet_file.fleet, "beta", active, {"unknown"})) == {"here", "under-way", "unknown"}


def test_a_host_without_docker_waits_for_all_runs_of_its_locations(fleet_file: FleetFile) -> None:
    active = [a_run("report", "reporting"), a_run("load", "etl", host="beta")]
    assert set(residents(fleet_file.fleet, "delta", active, set())) == {"report"}


def test_a_drain_ends_when_the_last_run_has_and_says_how_many_there_were(
    fleet_file: FleetFile, heard: Heard
) -> None:
    plane: Any = Control([a_run("one", "etl", host="beta"), a_run("two", "etl", host="beta")], [])
    slept: list[float] = []
    ended = empty(fleet_file, "beta", plane, heard, timeout=None, sleep=slept.append, containers=set)
    assert ended == 2
    assert len(slept) == 2, "one look with runs, one without, and one more without to be sure"


def test_a_drain_that_takes_too_long_names_the_runs_and_the_next_step(
    fleet_file: FleetFile, heard: Heard
) -> None:
    plane: Any = Control([a_run("12345678-aa", "etl", host="beta")])
    with pytest.raises(DagfleetError) as stopped:
        empty(fleet_file, "beta", plane, heard, timeout=0, containers=set)
    assert stopped.value.message == "1 run still works on beta after 0 s: 12345678 (job-12345678-aa)"
    assert "dagfleet host undrain beta" in str(stopped.value.fix)


def test_undrain_resumes_what_the_drain_paused_and_nothing_else(fleet_file: FleetFile) -> None:
    queue: Any = Queue(Pause("location", "etl", 0, "ann", "new tables"))
    held = hold(queue, fleet_file.fleet, "delta")
    assert held.locations == ("reporting",)
    assert set(queue.paused) == {("location", "etl"), ("host", "delta"), ("location", "reporting")}
    assert let_go(queue, "delta")
    assert set(queue.paused) == {("location", "etl")}
    assert not let_go(queue, "delta")


def test_a_location_that_somebody_paused_before_stays_theirs(fleet_file: FleetFile) -> None:
    queue: Any = Queue(Pause("location", "reporting", 0, "ann", "month's end"))
    assert hold(queue, fleet_file.fleet, "delta").already == ("reporting",)
    let_go(queue, "delta")
    assert queue.paused["location", "reporting"].reason == "month's end"

import pytest
from dagfleet.control.plane import JobSelector, Plane, headline
from dagfleet.control.session import WebError


def test_a_location_that_works_is_loaded(plane: Plane) -> None:
    good = {location.name: location for location in plane.locations()}["good"]
    assert good.loaded
    assert good.error is None
    assert good.repositories == ("__repository__",)


def test_a_location_whose_code_server_is_gone_says_so_in_one_line(plane: Plane) -> None:
    gone = {location.name: location for location in plane.locations()}["gone"]
    assert not gone.loaded
    assert gone.error == (
        "DagsterUserCodeUnreachableError: Could not reach user code server. gRPC Error code: UNAVAILABLE"
    )


def test_of_a_long_error_the_innermost_cause_is_told() -> None:
    message = (
        "Encountered ImportError: `No module named 'x'`\n  File 1\nModuleNotFoundError: No module named 'x'\n"
    )
    assert headline(message) == "ModuleNotFoundError: No module named 'x'"
    assert headline("one line") == "one line"
    assert headline("") == "no reason given"


def test_daemons_without_a_heartbeat_are_not_healthy(plane: Plane) -> None:
    daemons = {daemon.kind: daemon for daemon in plane.daemons()}
    assert not daemons["SCHEDULER"].healthy


def test_a_run_is_launched_with_its_tags_and_found_again(plane: Plane) -> None:
    run_id = plane.launch(JobSelector("good", "glance"), tags={"asked": "by test"}, partition="2026-01-01")
    state = plane.run(run_id)
    assert (state.job, state.location) == ("glance", "good")
    assert state.tags["asked"] == "by test"
    assert state.tags["dagster/partition"] == "2026-01-01"


def test_a_job_that_is_not_there_is_named(plane: Plane) -> None:
    with pytest.raises(WebError, match="job stare of good was not launched"):
        plane.launch(JobSelector("good", "stare"))


def test_a_run_that_is_not_there_is_named(plane: Plane) -> None:
    with pytest.raises(WebError, match="run 0000"):
        plane.run("0000")


def test_waiting_for_a_run_ends_with_the_time(plane: Plane) -> None:
    run_id = plane.launch(JobSelector("good", "glance"))
    seen: list[str] = []
    state = plane.finished(run_id, timeout=0, follow=lambda each: seen.append(each.status))
    assert seen == [state.status]


def test_queued_runs_are_counted(plane: Plane) -> None:
    before = plane.queue()
    plane.launch(JobSelector("good", "glance"))
    after = plane.queue()
    assert after.queued == before.queued + 1
    assert (after.starting, after.running) == (0, 0)

"""`dagster-queue`, as an operator runs it, on PostgreSQL; what works without it on SQLite too."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from clt_queued_run_coordinator.operating.command import main
from dagster import DagsterRunStatus, RunsFilter

from tests.component.coordinator.conftest import Deployment, Load

Command = Callable[..., Result]
ONE_ETL = {"tag_concurrency_limits": [{"key": "code_location", "value": "etl", "limit": 1}]}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run dagster-queue on a deployment's instance."""

    def run(deployed: Deployment, *arguments: str) -> Result:
        monkeypatch.setenv("DAGSTER_HOME", str(deployed.folder))
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return run


def test_list_shows_runs_in_the_order_of_launching_and_what_each_waits_for(
    deployment: Load, command: Command
) -> None:
    deployed = deployment(**ONE_ETL)
    deployed.create(location="etl", status=DagsterRunStatus.STARTED, tags={"code_location": "etl"})
    low = deployed.submitted(location="etl")
    high = deployed.submitted(location="reporting", tags={"dagster/priority": "5"})
    result = command(deployed, "list")
    assert result.exit_code == 0
    heading, first, second, totals = result.stdout.splitlines()
    assert heading.split() == [
        "PLACE",
        "RUN",
        "LOCATION",
        "JOB",
        "USER",
        "PRIORITY",
        "WAITING",
        "WAITS",
        "FOR",
    ]
    assert first.split()[:5] == ["1", high.run_id[:8], "reporting", "nightly", "anonymous"]
    assert first.endswith("It is next.")
    assert second.split()[1] == low.run_id[:8]
    assert second.endswith("The limit on tag code_location=etl is reached: 1 may be active.")
    assert totals == "2 queued, 1 active of 10 · reporting 1, etl 1"
    assert max(map(len, (heading, first, totals))) <= 100


def test_list_can_be_narrowed_and_read_by_machines(on_postgres: Load, command: Command) -> None:
    deployed = on_postgres()
    run = deployed.submitted(location="etl")
    deployed.submitted(location="ml")
    document = json.loads(command(deployed, "list", "--location", "etl", "--json").stdout)
    assert document["queued"] == 1
    (found,) = document["runs"]
    assert (found["run_id"], found["location"], found["priority"]) == (run.run_id, "etl", 0)


def test_an_empty_queue_is_one_line(on_postgres: Load, command: Command) -> None:
    assert command(on_postgres(), "list").stdout == "0 queued, 0 active of 10\n"


def test_why_names_the_limit_how_full_it_is_and_the_place_in_line(deployment: Load, command: Command) -> None:
    deployed = deployment(**ONE_ETL)
    deployed.create(location="etl", status=DagsterRunStatus.STARTED, tags={"code_location": "etl"})
    deployed.submitted(location="etl")
    run = deployed.submitted(location="etl")
    text = command(deployed, "why", run.run_id[:8]).stdout
    assert f"{run.run_id[:8]} is queued for" in text
    assert "The limit on tag code_location=etl is reached: 1 may be active." in text
    assert "1 of 1 are in use." in text
    assert "It is number 2 of 2 that wait for that." in text
    document = json.loads(command(deployed, "why", run.run_id, "--json").stdout)
    assert (document["limit"], document["used"], document["place"]) == (1, 1, 2)


def test_why_says_that_a_run_is_not_queued(on_postgres: Load, command: Command) -> None:
    deployed = on_postgres()
    run = deployed.create(status=DagsterRunStatus.STARTED)
    result = command(deployed, "why", run.run_id)
    assert result.exit_code == 1
    assert result.stderr == f"Run {run.run_id} is not queued: it is STARTED.\n"
    unknown = command(deployed, "why", "nothing")
    assert unknown.exit_code == 1
    assert unknown.stderr == "No queued run begins with nothing: see dagster-queue list.\n"


@pytest.mark.parametrize(("given", "stored"), [("high", "10"), ("-3", "-3"), ("7", "7")])
def test_priority_changes_while_queued(on_postgres: Load, command: Command, given: str, stored: str) -> None:
    deployed = on_postgres()
    other, run = deployed.submitted(), deployed.submitted()
    result = command(deployed, "priority", run.run_id, given, "--json")
    place = 2 if stored == "-3" else 1
    assert json.loads(result.stdout) == {
        "run_id": run.run_id, "before": 0, "priority": int(stored), "place": place,
    }  # fmt: skip
    assert deployed.stored(run).tags["dagster/priority"] == stored
    assert deployed.stored(run).status == DagsterRunStatus.QUEUED
    assert "dagster/priority" not in deployed.stored(other).tags


def test_a_priority_that_is_none_is_refused_with_the_names(on_postgres: Load, command: Command) -> None:
    deployed = on_postgres()
    run = deployed.submitted()
    result = command(deployed, "priority", run.run_id, "urgent")
    assert result.exit_code == 1
    assert result.stderr == (
        '"urgent" is no priority: write an integer or one of critical, high, normal, low, background.\n'
    )


def test_a_paused_location_waits_and_says_why_until_it_is_resumed(
    on_postgres: Load, command: Command
) -> None:
    deployed = on_postgres()
    run = deployed.submitted(location="etl")
    paused = command(deployed, "pause", "location", "etl", "--reason", "warehouse moves")
    assert paused.stdout.splitlines()[0] == "location etl is paused; 1 queued runs wait for it"
    why = command(deployed, "why", run.run_id).stdout
    assert "Location etl was paused by" in why
    listed = command(deployed, "list").stdout.splitlines()[-1]
    assert listed.startswith("location etl is paused by ")
    assert listed.endswith(": warehouse moves")
    [pause] = json.loads(command(deployed, "list", "--json").stdout)["paused"]
    assert (pause["kind"], pause["name"], pause["reason"]) == ("location", "etl", "warehouse moves")
    assert "warehouse moves" in why
    assert command(deployed, "resume", "location", "etl").stdout == "location etl is resumed\n"
    assert command(deployed, "resume", "location", "etl").stdout == "location etl was not paused\n"
    assert "It is next." in command(deployed, "why", run.run_id).stdout


def test_a_paused_user_waits(on_postgres: Load, command: Command) -> None:
    deployed = on_postgres()
    run = deployed.submitted()
    document = json.loads(command(deployed, "pause", "user", "anonymous", "--json").stdout)
    assert document == {"kind": "user", "name": "anonymous", "paused": True, "waiting": 1}
    assert json.loads(command(deployed, "why", run.run_id, "--json").stdout)["cause"] == "pause"


def test_pausing_without_postgresql_says_what_to_do_instead(load: Load, command: Command) -> None:
    result = command(load(None), "pause", "location", "etl")
    assert result.exit_code == 1
    assert "Pausing needs PostgreSQL" in result.stderr
    assert "limit of 0" in result.stderr


def test_cancel_ends_the_queued_runs_of_one_location_only(deployment: Load, command: Command) -> None:
    deployed = deployment()
    doomed = [deployed.submitted(location="etl") for _ in range(3)]
    other = deployed.submitted(location="reporting")
    running = deployed.create(location="etl", status=DagsterRunStatus.STARTED)
    result = command(deployed, "cancel", "--location", "etl")
    assert result.stdout.startswith("canceled 3 queued runs of location etl in ")
    assert {deployed.stored(run).status for run in doomed} == {DagsterRunStatus.CANCELED}
    assert deployed.stored(other).status == DagsterRunStatus.QUEUED
    assert deployed.stored(running).status == DagsterRunStatus.STARTED
    assert [kind for kind, _ in deployed.messages(doomed[0])] == [
        "PIPELINE_ENQUEUED", "PIPELINE_CANCELING", "PIPELINE_CANCELED",
    ]  # fmt: skip


def test_cancel_goes_on_over_several_batches(
    on_postgres: Load, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = on_postgres()
    monkeypatch.setattr("clt_queued_run_coordinator.operating.changes.CANCEL_BATCH", 2)
    for _ in range(5):
        deployed.submitted(location="etl")
    document = json.loads(command(deployed, "cancel", "--location", "etl", "--json").stdout)
    assert (document["canceled"], document["left"]) == (5, 0)
    queued = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
    assert deployed.instance.get_runs_count(queued) == 0


def test_an_instance_without_a_queue_ends_with_exit_code_3(load: Load, command: Command) -> None:
    direct = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    result = command(load(None, direct), "list")
    assert result.exit_code == 3
    assert "which has no queue: configure CLTQueuedRunCoordinator" in result.stderr


def test_without_dagster_home_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    result = CliRunner().invoke(main, ["list"], catch_exceptions=False)
    assert result.exit_code == 3
    assert "DAGSTER_HOME" in result.stderr

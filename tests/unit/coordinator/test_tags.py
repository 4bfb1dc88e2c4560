from __future__ import annotations

from types import SimpleNamespace

import pytest
from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext

from tests.unit.coordinator.conftest import Load
from tests.unit.launcher.runs import create_run, messages, reloaded


def submitted(
    context: WorkspaceProcessContext,
    *,
    location: str | None = "etl",
    tags: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> DagsterRun:
    """Submit a run, from the web if there are headers, else as the daemon does."""
    run = create_run(context.instance, location=location, tags=tags, status=DagsterRunStatus.NOT_STARTED)
    source = SimpleNamespace(headers=headers) if headers is not None else None
    workspace = context.create_request_context(source=source)
    return context.instance.run_coordinator.submit_run(SubmitRunContext(run, workspace))


def test_a_submitted_run_is_queued_with_the_location_of_its_remote_origin(deployment: Load) -> None:
    run = submitted(deployment())
    assert run.status == DagsterRunStatus.QUEUED
    assert run.tags["code_location"] == "etl"


def test_a_claimed_location_is_overwritten_and_kept_under_its_own_tag(deployment: Load) -> None:
    run = submitted(deployment(), tags={"code_location": "finance"})
    assert run.tags["code_location"] == "etl"
    assert run.tags["code_location_claimed"] == "finance"


def test_a_run_without_remote_origin_is_of_an_unknown_location_and_fails_with_a_reason(
    deployment: Load,
) -> None:
    context = deployment()
    run = submitted(context, location=None)
    assert run.tags["code_location"] == "__unknown__"
    assert run.status == DagsterRunStatus.FAILURE  # Dagster's storage queues no such run
    assert "names no code location" in messages(context.instance, run)


def test_the_keys_of_both_tags_are_configurable(deployment: Load) -> None:
    run = submitted(deployment(code_location_tag="site", user_tag="who"))
    assert (run.tags["site"], run.tags["who"]) == ("etl", "anonymous")


def test_host_group_and_team_come_from_the_configuration_alone(deployment: Load) -> None:
    context = deployment(
        user_header="X-Dagfleet-User",
        host_groups={"etl": "gpu"},
        location_teams={"etl": "data"},
        user_teams={"grace": "finance"},
    )
    forged = {"host_group": "big", "team": "board"}
    run = submitted(context, headers={"X-Dagfleet-User": "ada"}, tags=forged)
    assert (run.tags["host_group"], run.tags["team"]) == ("gpu", "data")
    assert (run.tags["host_group_claimed"], run.tags["team_claimed"]) == ("big", "board")
    assert submitted(context, headers={"X-Dagfleet-User": "grace"}).tags["team"] == "finance"


def test_a_location_that_no_map_names_chooses_no_group_of_its_own(deployment: Load) -> None:
    context = deployment(host_groups={"etl": "gpu"}, location_teams={"etl": "data"})
    run = submitted(context, location="ml", tags={"team": "data", "host_group": "gpu"})
    assert (run.tags["host_group"], run.tags["team"]) == ("__unknown__", "__unknown__")


def test_without_maps_team_and_host_group_are_tags_like_any_other(deployment: Load) -> None:
    run = submitted(deployment(), tags={"team": "data"})
    assert run.tags["team"] == "data"
    assert "host_group" not in run.tags


def test_tags_can_be_searched_in_the_storage(deployment: Load) -> None:
    context = deployment()
    run = submitted(context, tags={"code_location": "finance"})
    found = context.instance.get_runs(RunsFilter(tags={"code_location": "etl"}))
    assert [each.run_id for each in found] == [run.run_id]


def test_all_tags_are_written_at_once_and_before_the_run_is_queued(
    deployment: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = deployment()
    storage, written = context.instance.run_storage, []
    original = storage.add_run_tags

    def noting(run_id: str, tags: dict[str, str]) -> None:
        run = context.instance.get_run_by_id(run_id)
        assert run is not None
        written.append((run.status, dict(tags)))
        original(run_id, tags)

    monkeypatch.setattr(storage, "add_run_tags", noting)
    submitted(context, tags={"code_location": "finance"})
    assert written == [
        (
            DagsterRunStatus.NOT_STARTED,
            {"code_location": "etl", "user": "anonymous", "code_location_claimed": "finance"},
        )
    ]


def test_a_run_from_the_web_has_the_user_of_the_login(deployment: Load) -> None:
    context = deployment(user_header="X-Dagfleet-User")
    run = submitted(context, headers={"X-Dagfleet-User": "ada"}, tags={"user": "root"})
    assert (run.tags["user"], run.tags["user_claimed"]) == ("ada", "root")


@pytest.mark.parametrize("headers", [{}, {"X-Dagfleet-User": "  "}])
def test_a_run_from_the_web_without_a_user_is_anonymous_whatever_it_claims(
    deployment: Load, headers: dict[str, str]
) -> None:
    context = deployment(user_header="X-Dagfleet-User")
    run = submitted(context, headers=headers, tags={"dagster/schedule_name": "nightly"})
    assert run.tags["user"] == "anonymous"


def test_a_header_counts_only_if_the_configuration_names_it(deployment: Load) -> None:
    run = submitted(deployment(), headers={"X-Dagfleet-User": "mallory"})
    assert run.tags["user"] == "anonymous"


@pytest.mark.parametrize(
    ("tags", "user"),
    [
        ({"dagster/schedule_name": "nightly"}, "schedule:nightly"),
        ({"dagster/sensor_name": "new_files"}, "sensor:new_files"),
        ({"dagster/backfill": "abcdefgh"}, "backfill:abcdefgh"),
        ({"dagster/from_automation_condition": "true"}, "automation"),
        ({}, "anonymous"),
    ],
)
def test_a_run_of_the_daemon_has_the_automation_that_asked_for_it(
    deployment: Load, tags: dict[str, str], user: str
) -> None:
    assert submitted(deployment(), tags=tags).tags["user"] == user


def test_a_retry_by_the_daemon_keeps_the_user_of_the_run_that_it_retries(deployment: Load) -> None:
    context = deployment(user_header="X-Dagfleet-User")
    parent = submitted(context, headers={"X-Dagfleet-User": "ada"})
    retry = submitted(context, tags={**parent.tags, "dagster/parent_run_id": parent.run_id})
    assert retry.tags["user"] == "ada"


def test_a_re_execution_by_somebody_else_is_no_forgery(deployment: Load) -> None:
    context = deployment(user_header="X-Dagfleet-User")
    parent = submitted(context, headers={"X-Dagfleet-User": "ada"})
    tags = {**parent.tags, "dagster/parent_run_id": parent.run_id}
    again = submitted(context, headers={"X-Dagfleet-User": "grace"}, tags=tags)
    assert again.tags["user"] == "grace"
    assert "user_claimed" not in again.tags


def test_a_run_submitted_twice_is_queued_once(deployment: Load) -> None:
    context = deployment()
    run = submitted(context)
    again = context.instance.run_coordinator.submit_run(
        SubmitRunContext(run, context.create_request_context())
    )
    assert again.status == DagsterRunStatus.QUEUED
    events = [
        entry
        for entry in context.instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.event_type_value == "PIPELINE_ENQUEUED"
    ]
    assert len(events) == 1
    assert reloaded(context.instance, run).tags["code_location"] == "etl"

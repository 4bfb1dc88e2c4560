"""Who may join the queue, on PostgreSQL and on SQLite."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._time import get_current_datetime

from tests.component.coordinator.conftest import Deployment, Load

HEADER = {"user_header": "X-Dagfleet-User"}


def by(deployment: Deployment, user: str, **kwargs: object) -> DagsterRun:
    """Submit a run from the web as this user."""
    return deployment.submit(deployment.create(**kwargs), SimpleNamespace(headers={"X-Dagfleet-User": user}))


def test_without_admission_nothing_is_refused_or_translated(on_postgres: Load) -> None:
    deployed = on_postgres()
    run = deployed.submitted(tags={"dagster/priority": "critical"})
    assert run.status == DagsterRunStatus.QUEUED
    assert run.tags["dagster/priority"] == "critical"
    assert deployed.messages(run) == [("PIPELINE_ENQUEUED", None)]


def test_a_run_is_refused_while_the_queue_is_full_and_accepted_after(deployment: Load) -> None:
    deployed = deployment(admission={"max_queue_size": 2})
    first, _second = deployed.submitted(), deployed.submitted()
    refused = deployed.submitted()
    assert deployed.stored(refused).status == DagsterRunStatus.FAILURE
    reason = deployed.stored(refused).tags["queue/refused"]
    assert "the queue is full (2 runs, admission.max_queue_size 2)" in reason
    assert "Submit it again when" in reason
    assert ("PIPELINE_FAILURE", reason) in deployed.messages(refused)
    deployed.instance.report_run_canceled(first)
    assert deployed.submitted().status == DagsterRunStatus.QUEUED


def test_a_users_queued_and_active_runs_count_and_ended_ones_do_not(deployment: Load) -> None:
    deployed = deployment(admission={"max_runs_per_user": 2}, **HEADER)
    running, _waiting = by(deployed, "ada"), by(deployed, "ada")
    assert by(deployed, "grace").status == DagsterRunStatus.QUEUED
    refused = by(deployed, "ada")
    assert refused.status == DagsterRunStatus.FAILURE
    assert (
        "user ada has 2 runs queued and active (admission.max_runs_per_user 2)"
        in refused.tags["queue/refused"]
    )
    deployed.instance.report_run_failed(running)
    assert by(deployed, "ada").status == DagsterRunStatus.QUEUED


@pytest.mark.parametrize(
    "status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
)
def test_an_active_run_counts_for_its_user(on_postgres: Load, status: DagsterRunStatus) -> None:
    deployed = on_postgres(admission={"max_runs_per_user": 1}, **HEADER)
    deployed.create(status=status, tags={"user": "ada"})
    assert by(deployed, "ada").status == DagsterRunStatus.FAILURE


def test_a_user_does_not_escape_the_cap_by_claiming_to_be_another(on_postgres: Load) -> None:
    deployed = on_postgres(admission={"max_runs_per_user": 1}, **HEADER)
    by(deployed, "mallory")
    assert by(deployed, "mallory", tags={"user": "ada"}).status == DagsterRunStatus.FAILURE


def test_automation_is_no_user_unless_the_configuration_says_so(on_postgres: Load) -> None:
    backfill = {"tags": {"dagster/backfill": "abcdefgh"}}
    deployed = on_postgres(admission={"max_runs_per_user": 1})
    assert {deployed.submitted(**backfill).status for _ in range(3)} == {DagsterRunStatus.QUEUED}
    strict = on_postgres(admission={"max_runs_per_user": 1, "uncapped_users": []})
    strict.submitted(**backfill)
    assert strict.submitted(**backfill).status == DagsterRunStatus.FAILURE


def test_each_location_has_its_own_cap_and_the_others_share_a_rule(deployment: Load) -> None:
    deployed = deployment(admission={"max_runs_per_location": {"etl": 2, "*": 1}})
    for location in ("etl", "etl", "reporting", "ml"):
        assert deployed.submitted(location=location).status == DagsterRunStatus.QUEUED
    etl, other = deployed.submitted(location="etl"), deployed.submitted(location="ml")
    assert "admission.max_runs_per_location.etl 2" in deployed.stored(etl).tags["queue/refused"]
    assert "admission.max_runs_per_location.* 1" in deployed.stored(other).tags["queue/refused"]


def test_names_of_priorities_become_the_integers_that_dagster_sorts_by(deployment: Load) -> None:
    deployed = deployment(admission={})
    names = ("critical", "High", "normal", "low", "background", "7", "urgent")
    runs = [deployed.submitted(tags={"dagster/priority": name}) for name in names]
    assert [deployed.stored(run).tags["dagster/priority"] for run in runs] == [
        "20", "10", "0", "-10", "-20", "7", "urgent",
    ]  # fmt: skip


def test_a_full_queue_is_swept_of_stale_runs_before_anybody_is_refused(deployment: Load) -> None:
    deployed = deployment(admission={"max_queue_size": 1, "stale_timeout_seconds": 60})
    stale = created_ago(deployed, seconds=61)
    assert deployed.submitted().status == DagsterRunStatus.QUEUED
    assert deployed.stored(stale).status == DagsterRunStatus.CANCELED
    (over,) = [text for kind, text in deployed.messages(stale) if kind == "PIPELINE_CANCELED"]
    assert over is not None
    assert "expired after 60 s in the queue" in over


def test_a_run_that_is_not_yet_stale_keeps_its_place(on_postgres: Load) -> None:
    deployed = on_postgres(admission={"max_queue_size": 1, "stale_timeout_seconds": 600})
    waiting = created_ago(deployed, seconds=30)
    assert deployed.submitted().status == DagsterRunStatus.FAILURE
    assert deployed.stored(waiting).status == DagsterRunStatus.QUEUED


def test_refused_runs_are_not_retried_by_themselves(deployment: Load) -> None:
    deployed = deployment(admission={"max_queue_size": 1})
    deployed.submitted()
    assert deployed.stored(deployed.submitted()).tags["dagster/will_retry"] == "false"


def test_a_re_execution_of_a_refused_run_does_not_look_refused(deployment: Load) -> None:
    deployed = deployment(admission={"max_queue_size": 1})
    first = deployed.submitted()
    refused = deployed.stored(deployed.submitted())
    deployed.instance.report_run_canceled(first)
    again = deployed.submitted(tags={**refused.tags, "dagster/parent_run_id": refused.run_id})
    assert again.status == DagsterRunStatus.QUEUED
    assert not deployed.stored(again).tags.get("queue/refused")


def test_a_refused_run_stays_refused_when_it_is_submitted_again(on_postgres: Load) -> None:
    deployed = on_postgres(admission={"max_queue_size": 1})
    first = deployed.submitted()
    refused = deployed.submitted()
    deployed.instance.report_run_canceled(first)
    assert deployed.submit(deployed.stored(refused)).status == DagsterRunStatus.FAILURE
    kinds = Counter(kind for kind, _ in deployed.messages(refused))
    assert kinds == {"PIPELINE_FAILURE": 1}


def test_rules_that_are_switched_off_refuse_nothing(on_postgres: Load) -> None:
    off = {"max_queue_size": -1, "max_runs_per_user": -1, "stale_timeout_seconds": -1}
    deployed = on_postgres(admission=off)
    assert {deployed.submitted().status for _ in range(3)} == {DagsterRunStatus.QUEUED}


def test_an_accepted_run_says_which_number_in_line_it_got(on_postgres: Load) -> None:
    deployed = on_postgres(admission={})
    deployed.submitted()
    assert deployed.messages(deployed.submitted()) == [
        ("PIPELINE_ENQUEUED", "Accepted into the queue as number 2 in line.")
    ]


def created_ago(deployed: Deployment, *, seconds: int) -> DagsterRun:
    """Return a queued run that was created so long ago."""
    storage = deployed.instance.run_storage
    run = deployed.create()
    storage.delete_run(run.run_id)
    storage.add_historical_run(run, get_current_datetime().replace(tzinfo=None) - timedelta(seconds=seconds))
    return deployed.submit(run)

from __future__ import annotations

import logging
from typing import Any

import pytest
import yaml
from clt_queued_run_coordinator import sole
from clt_queued_run_coordinator.coordinator import CLTQueuedRunCoordinator
from clt_queued_run_coordinator.errors import CoordinatorConfigError
from dagster import QueuedRunCoordinator
from dagster._core.errors import DagsterInvalidConfigError
from dagster._serdes import ConfigurableClassData

from tests.unit.coordinator.conftest import Load

EVERY_KEY_OF_THE_BASE = {
    "max_concurrent_runs": 25,
    "tag_concurrency_limits": [
        {"key": "code_location", "value": "etl", "limit": 10},
        {"key": "team", "value": {"applyLimitPerUniqueValue": True}, "limit": 3},
        {"key": "heavy", "limit": 1},
    ],
    "dequeue_interval_seconds": 2,
    "dequeue_use_threads": True,
    "dequeue_num_workers": 4,
    "max_user_code_failure_retries": 3,
    "user_code_failure_retry_delay": 20,
    "block_op_concurrency_limited_runs": {"enabled": True, "op_concurrency_slot_buffer": 1},
}


def loaded(config: dict[str, Any], *, base: bool = False) -> QueuedRunCoordinator[Any]:
    module, name = (
        ("dagster._core.run_coordinator", "QueuedRunCoordinator")
        if base
        else ("clt_queued_run_coordinator.coordinator", "CLTQueuedRunCoordinator")
    )
    return ConfigurableClassData(module, name, yaml.safe_dump(config)).rehydrate(as_type=QueuedRunCoordinator)


@pytest.mark.parametrize("config", [{}, EVERY_KEY_OF_THE_BASE])
def test_configuration_of_the_base_class_loads_unchanged_and_means_the_same(config: dict[str, Any]) -> None:
    ours, theirs = loaded(config), loaded(config, base=True)
    assert isinstance(ours, CLTQueuedRunCoordinator)
    assert ours.get_run_queue_config() == theirs.get_run_queue_config()
    assert ours.dequeue_interval_seconds == theirs.dequeue_interval_seconds
    assert (ours.dequeue_use_threads, ours.dequeue_num_workers) == (
        theirs.dequeue_use_threads,
        theirs.dequeue_num_workers,
    )


def test_values_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOST_RUNS", "7")
    ours = loaded({"max_concurrent_runs": {"env": "MOST_RUNS"}})
    assert ours.get_run_queue_config().max_concurrent_runs == 7


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"max_concurrent_runs": -2}, "max_concurrent_runs: -2: write -1 for no limit"),
        ({"dequeue_num_workers": 0}, "dequeue_num_workers: 0: write 1 or more"),
        ({"user_code_failure_retry_delay": -1}, "user_code_failure_retry_delay: -1: write 0 or more"),
        (
            {"tag_concurrency_limits": [{"key": "a", "limit": -1}]},
            "tag_concurrency_limits[0].limit: -1: write 0 or more",
        ),
        (
            {"tag_concurrency_limits": [{"key": "a", "limit": 1}, {"key": "a", "limit": 2}]},
            "key a with value None stands 2 times: keep one of them",
        ),
        (
            {"block_op_concurrency_limited_runs": {"enabled": False, "op_concurrency_slot_buffer": 1}},
            "has no effect with enabled: false",
        ),
        ({"code_location_tag": "dagster/location"}, "code_location_tag: dagster/location: Dagster itself"),
        ({"user_tag": "code_location"}, "user_tag: code_location: is also code_location_tag"),
        ({"team_tag": "user"}, "team_tag: user: is also user_tag; choose another key"),
        ({"admission": {"max_queue_size": 0}}, "admission.max_queue_size: 0: write 1 or more, or -1"),
        (
            {"admission": {"max_runs_per_location": {"etl": -5}}},
            "admission.max_runs_per_location.etl: -5: write 1 or more, or -1",
        ),
        (
            {"admission": {"stale_timeout_seconds": 0}},
            "admission.stale_timeout_seconds: 0: write 1 or more, or -1",
        ),
        (
            {"fair_sharing": {"key": "user", "weights": {"ada": 0.0}}},
            "fair_sharing.weights.ada: 0.0: write a number above 0",
        ),
        (
            {"fair_sharing": {"key": "user", "ageing_seconds": -1.0}},
            "fair_sharing.ageing_seconds: -1.0: write 0 (no ageing) or more",
        ),
        ({"metrics": {"port": 0}}, "metrics.port: 0: write a port from 1 to 65535"),
        ({"metrics": {"port": 9469, "host": "all"}}, "metrics.host: all: is no IP address"),
        (
            {"metrics": {"port": 9469, "host": "10.0.0.7"}},
            "metrics.host: 10.0.0.7: other machines reach it and the page has no login",
        ),
        ({"user_header": "X User"}, "user_header: 'X User': is no name of an HTTP header"),
    ],
)
def test_a_wrong_value_is_refused_with_key_value_and_fix(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoordinatorConfigError) as caught:
        loaded(config)
    assert sentence in str(caught.value)


def test_admission_has_the_defaults_of_the_reference_and_is_off_when_absent() -> None:
    assert loaded({}).extensions.admission is None
    admission = loaded({"admission": {}}).extensions.admission
    assert (admission.max_queue_size, admission.max_runs_per_user, admission.stale_timeout_seconds) == (
        10_000,
        100,
        3_600,
    )
    assert admission.location_cap("etl") is None


def test_metrics_are_reached_from_other_machines_only_on_purpose() -> None:
    assert loaded({}).extensions.metrics is None
    assert loaded({"metrics": {"port": 9469}}).extensions.metrics.host == "127.0.0.1"
    everywhere = {"port": 9469, "host": "10.0.0.7", "allow_remote": True}
    assert loaded({"metrics": everywhere}).extensions.metrics.allow_remote


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(CoordinatorConfigError) as caught:
        loaded({"max_concurrent_runs": -2, "user_header": ""})
    assert len(caught.value.problems) == 2


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(DagsterInvalidConfigError, match="max_concurent_runs"):
        loaded({"max_concurent_runs": 3})


def test_settings_that_override_the_coordinators_keys_are_reported_with_both_values(
    deployment: Load, caplog: pytest.LogCaptureFixture
) -> None:
    context = deployment(
        settings={"concurrency": {"runs": {"max_concurrent_runs": 99}}}, max_concurrent_runs=5
    )
    with caplog.at_level(logging.ERROR):
        assert context.instance.run_coordinator is not None
        context.instance.get_concurrency_config()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "run_coordinator.config.max_concurrent_runs: 5 has NO effect" in record.message
    assert "concurrency.runs.max_concurrent_runs: 99 in dagster.yaml overrides it" in record.message


def test_settings_that_override_nothing_are_not_reported(
    deployment: Load, caplog: pytest.LogCaptureFixture
) -> None:
    context = deployment(
        settings={"concurrency": {"runs": {"max_concurrent_runs": 99}}}, dequeue_interval_seconds=1
    )
    with caplog.at_level(logging.ERROR):
        context.instance.get_concurrency_config()
    assert caplog.records == []


def test_another_distribution_of_the_same_import_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = {"clt_queued_run_coordinator": ["dagfleet-coordinator", "somebody-elses"]}
    monkeypatch.setattr(sole, "packages_distributions", lambda: providers)
    sole.intruders.cache_clear()
    with pytest.raises(
        CoordinatorConfigError, match="somebody-elses installs the same module as dagfleet-coordinator"
    ):
        loaded({})
    monkeypatch.undo()
    sole.intruders.cache_clear()
    assert sole.intruders() == ()

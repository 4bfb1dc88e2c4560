"""The measured defects of existing launchers, and the tests by which ours does not have them."""

from __future__ import annotations

import ast
from importlib.metadata import distribution
from pathlib import Path

import pytest
from dagster_multihost_launcher.launcher import MultiHostDockerRunLauncher

from tests.unit.launcher.runs import instance_from, launcher_config

TESTS = Path(__file__).resolve().parents[2]
DEFECTS = {
    "1 a run that a user terminates ends as FAILURE": [
        "test_terminate_ends_the_container_and_the_run_is_canceled",
    ],
    "2 a killed container is never noticed": [
        "test_a_killed_container_is_a_failure_that_names_the_signal",
        "test_a_starting_run_whose_worker_died_fails_within_seconds_with_its_last_lines",
    ],
    "3 terminating such a run succeeds and changes nothing": [
        "test_terminating_a_run_whose_container_was_killed_cancels_it",
        "test_terminating_a_run_whose_container_is_gone_cancels_it",
    ],
    "4 one unreachable host at load disables all": [
        "test_loading_an_instance_opens_no_socket",
        "test_a_missing_certificate_disables_only_its_own_host",
    ],
    "5 max_resume_run_attempts refuses to load": ["test_resuming_runs_may_be_configured"],
    "6 the command line asks GraphQL for what its schema does not have": [
        "test_the_package_has_no_command_that_could_ask_for_what_does_not_exist",
    ],
    "7 a hung host blocks the queue and fails its runs": [
        "test_a_launch_that_waits_for_a_dark_host_holds_up_no_launch_on_another",
        "test_a_dark_host_costs_no_run_on_other_hosts_and_none_that_is_queued_for_it",
    ],
    "8 a launch takes more calls the more containers there are": [
        "test_a_launch_with_the_image_present_takes_two_docker_calls",
    ],
    "9 failed starts leave containers": [
        "test_an_entrypoint_that_the_image_lacks_fails_the_launch_and_leaves_no_container",
        "test_a_missing_second_network_fails_the_launch_and_leaves_no_container",
    ],
    "10 two launches make two containers": [
        "test_a_second_launch_of_a_run_adopts_the_container_of_the_first",
        "test_two_launches_of_one_run_at_the_same_time_make_one_container_and_neither_fails",
    ],
    "11 a race of tags loses the container": [
        "test_a_worker_is_found_by_its_name_when_its_tags_are_lost",
    ],
    "12 all secrets of the code server are in docker inspect": [
        "test_only_what_is_listed_is_inherited_from_the_code_server",
        "test_the_launchers_own_environment_does_not_reach_the_container",
        "test_secrets_from_files_reach_the_process_and_not_docker_inspect",
    ],
    "13 a mistyped location silently goes elsewhere": [
        "test_a_strict_launcher_refuses_an_unmapped_location_and_names_the_nearest",
        "test_a_location_that_looks_mistyped_is_said_on_the_run_before_its_code_server_gets_it",
    ],
    "14 pulls have no policy, time-out or progress": [
        "test_never_leaves_the_registry_alone",
        "test_a_pull_that_takes_too_long_is_given_up_even_when_the_registry_says_nothing",
        "test_a_pull_says_how_it_goes_on_the_run",
        "test_a_run_whose_image_is_being_pulled_is_given_its_time_again",
    ],
    "15 a missing network is a warning, and the run is cut off": [
        "test_a_missing_network_fails_the_launch_and_leaves_no_container",
    ],
    "16 clean-up ignores whether a run is finished, as 288 runs a day": [
        "test_clean_up_removes_what_is_old_and_finished_and_nothing_of_an_unfinished_run",
        "test_containers_of_finished_runs_go_at_their_own_ages",
    ],
    "17 connections are never closed": [
        "test_the_connections_are_closed_when_the_instance_is_disposed_of",
        "test_the_thread_ends_with_its_instance",
    ],
    "18 container_kwargs are not checked": ["test_a_mistake_is_refused_with_key_value_and_fix"],
    "19 {env: X} in the configuration crashes": [
        "test_values_of_the_configuration_may_come_from_the_environment",
    ],
    "20 an API error during a health check fails a live run": [
        "test_an_unreachable_host_gives_no_verdict_so_that_dagster_leaves_the_run_alone",
        "test_a_host_that_answers_in_time_loses_no_run",
    ],
    "21 exit code 0 of an unfinished run counts as success": [
        "test_an_exit_of_an_unfinished_run_is_a_failure_whatever_its_code",
    ],
    "22 a registry outage breaks health checks and cancellation": [
        "test_a_registry_that_is_away_breaks_neither_health_checks_nor_cancellation",
        "test_a_registry_outage_costs_only_runs_whose_image_is_not_there",
    ],
}


def names_of_tests() -> set[str]:
    return {
        node.name
        for path in TESTS.glob("*/*/test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_each_defect_has_a_test_by_which_ours_does_not_have_it() -> None:
    assert [defect.split()[0] for defect in DEFECTS] == [str(number) for number in range(1, 23)]
    assert {name for tests in DEFECTS.values() for name in tests} <= names_of_tests()


def test_the_package_has_no_command_that_could_ask_for_what_does_not_exist() -> None:
    assert not distribution("dagfleet-launcher").entry_points


def test_values_of_the_configuration_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETA_URL", "ssh://ops@10.0.1.2")
    monkeypatch.setenv("REGISTRY_PASSWORD", "hunter2")
    beta = {
        "host_name": "beta",
        "docker_url": {"env": "BETA_URL"},
        "location_names": ["etl"],
        "registry": {"url": "r.example.com", "username": "u", "password": {"env": "REGISTRY_PASSWORD"}},
    }
    with instance_from(tmp_path, launcher_config(docker_hosts=[beta])) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, MultiHostDockerRunLauncher)
        (host,) = launcher.settings.hosts
        assert host.url == "ssh://ops@10.0.1.2"
        assert host.registry
        assert host.registry.password == "hunter2"

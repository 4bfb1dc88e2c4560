"""What Dagster finds in the example locations, and what starts by itself there: nothing."""

import subprocess
import sys

import dagster as dg
import pytest
from etl.automation import months_landed, next_month
from etl.broken import broken_on_purpose
from etl.defs import defs as etl
from etl.weather import daily_weather, months
from reporting.defs import defs as reporting
from reporting.reports import AIRPORTS, DAILY_WEATHER

LOCATIONS = {"etl": etl, "reporting": reporting}


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_location_loads_without_a_warehouse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)
    monkeypatch.delenv("WAREHOUSE_PASSWORD", raising=False)
    dg.Definitions.validate_loadable(LOCATIONS[name])


@pytest.mark.parametrize("name", LOCATIONS)
def test_nothing_starts_until_it_is_switched_on(name: str) -> None:
    repository = LOCATIONS[name].get_repository_def()
    statuses = {schedule.default_status.value for schedule in repository.schedule_defs}
    statuses |= {sensor.default_status.value for sensor in repository.sensor_defs}
    assert statuses == {"STOPPED"}


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_location_is_described_without_importing_pandas(name: str) -> None:
    """A code server that imports pandas starts later and holds its memory for as long as it lives."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import {name}.defs; print('pandas' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "False"


def test_the_report_builds_on_the_tables_of_the_other_location() -> None:
    assert {AIRPORTS, DAILY_WEATHER} <= set(etl.resolve_asset_graph().materializable_asset_keys)
    assert {AIRPORTS, DAILY_WEATHER} <= set(reporting.resolve_asset_graph().external_asset_keys)


def test_the_schedule_asks_for_the_first_month_that_has_not_landed() -> None:
    with dg.instance_for_test() as instance:
        for month in ("2012-01-01", "2012-03-01"):
            instance.report_runless_asset_event(dg.AssetMaterialization(daily_weather.key, partition=month))
        request = next_month(dg.build_schedule_context(instance=instance))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2012-02-01"


def test_the_schedule_rests_when_all_months_have_landed() -> None:
    with dg.instance_for_test() as instance:
        for month in months.get_partition_keys():
            instance.report_runless_asset_event(dg.AssetMaterialization(daily_weather.key, partition=month))
        answer = next_month(dg.build_schedule_context(instance=instance))
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == "all 48 months have landed"


def test_the_sensor_asks_once_for_all_months_that_landed_since_its_last_look() -> None:
    repository = etl.get_repository_def()
    with dg.instance_for_test() as instance:
        for month in ("2012-01-01", "2012-02-01"):
            instance.report_runless_asset_event(dg.AssetMaterialization(daily_weather.key, partition=month))
        look = dg.build_sensor_context(instance=instance, repository_def=repository)
        first = months_landed.evaluate_tick(look)
        again = dg.build_sensor_context(instance=instance, repository_def=repository, cursor=first.cursor)
        second = months_landed.evaluate_tick(again)
    assert months_landed.job_name == "climate"
    assert len(first.run_requests or ()) == 1
    assert not second.run_requests


def test_the_broken_job_says_what_to_do_about_it() -> None:
    result = broken_on_purpose.execute_in_process(raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert not result.success
    assert data is not None
    assert data.description == (
        "No airport has the code 'SEAA'; 3376 were searched. This job fails on purpose. "
        "To see it succeed, launch it again with ops.find_airport.config.iata: SEA."
    )
    assert "SEA (Seattle-Tacoma Intl)" in str(data.metadata["codes_alike"].value)


def test_the_broken_job_succeeds_when_its_advice_is_followed() -> None:
    config = {"ops": {"find_airport": {"config": {"iata": "SEA"}}}}
    assert broken_on_purpose.execute_in_process(run_config=config).success

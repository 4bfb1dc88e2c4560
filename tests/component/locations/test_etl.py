"""The etl location's jobs, run against a real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetChecksDefinition,
    DagsterInstance,
    ExecuteInProcessResult,
)
from etl import airports, weather
from etl.defs import defs
from etl.warehouse import Warehouse
from sqlalchemy import text

from tests.component.database import Database


@pytest.fixture
def warehouse(database: Database) -> Warehouse:
    return Warehouse(url=database.url, password=database.password)


def launch(job: str, partition: str | None = None, *, expect: bool = True) -> ExecuteInProcessResult:
    result = defs.resolve_job_def(job).execute_in_process(partition_key=partition, raise_on_error=False)
    assert result.success is expect, [event.message for event in result.all_events if event.is_failure]
    return result


def check(result: ExecuteInProcessResult) -> AssetCheckEvaluation:
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def evaluate(definition: AssetChecksDefinition, warehouse: Warehouse) -> AssetCheckResult:
    """Ask a check about the table as it is, without loading anything."""
    verdict = definition(warehouse)
    assert isinstance(verdict, AssetCheckResult)
    return verdict


def value(warehouse: Warehouse, statement: str) -> Any:
    with warehouse.transaction() as connection:
        return connection.execute(text(statement)).scalar_one()


def change(warehouse: Warehouse, statement: str) -> None:
    with warehouse.transaction() as connection:
        connection.execute(text(statement))


def test_a_run_loads_its_month_and_no_other(warehouse: Warehouse) -> None:
    result = launch("daily_weather", "2012-02-01")
    assert value(warehouse, "select count(*) from daily_weather") == 29
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/partition_row_count"].value == 29
    assert check(result).passed


def test_running_a_month_again_changes_nothing(warehouse: Warehouse) -> None:
    digest = "select md5(string_agg(daily_weather::text, ',' order by day)) from daily_weather"
    launch("daily_weather", "2012-01-01")
    launch("daily_weather", "2012-02-01")
    before = value(warehouse, digest)
    launch("daily_weather", "2012-01-01")
    assert value(warehouse, digest) == before


def test_running_a_month_again_repairs_it(warehouse: Warehouse) -> None:
    launch("daily_weather", "2012-01-01")
    change(warehouse, "delete from daily_weather where day = '2012-01-07'")
    change(warehouse, "update daily_weather set rain_mm = 99 where day = '2012-01-01'")
    launch("daily_weather", "2012-01-01")
    assert value(warehouse, "select count(*) from daily_weather") == 31
    assert value(warehouse, "select rain_mm from daily_weather where day = '2012-01-01'") == 0


def test_months_that_land_at_the_same_moment_do_not_disturb_each_other(warehouse: Warehouse) -> None:
    months = weather.months.get_partition_keys()[:8]
    with ThreadPoolExecutor(len(months)) as pool:
        list(pool.map(lambda month: launch("daily_weather", month), months))
    assert value(warehouse, "select count(*) from daily_weather") == 31 + 29 + 31 + 30 + 31 + 30 + 31 + 31


def test_a_failed_write_leaves_the_rows_that_were_there(warehouse: Warehouse) -> None:
    launch("daily_weather", "2012-01-01")
    rows = [{"day": "2012-01-01"}, {"day": "2012-01-01"}]
    with pytest.raises(Exception, match="duplicate key"):
        warehouse.replace(weather.table, rows)
    assert value(warehouse, "select count(*) from daily_weather") == 31


@pytest.mark.parametrize(
    ("damage", "verdict"),
    [
        ("delete from daily_weather where day = '2012-01-07'", "1 months without all of their days"),
        ("update daily_weather set wind = null where day < '2012-01-03'", "2 days that lack a value"),
        (
            "update daily_weather set temp_min = 60 where day = '2012-01-03'",
            "1 days with an impossible value",
        ),
    ],
)
def test_the_check_finds_damage_in_the_table(warehouse: Warehouse, damage: str, verdict: str) -> None:
    launch("daily_weather", "2012-01-01")
    change(warehouse, damage)
    evaluation = evaluate(weather.daily_weather_is_plausible, warehouse)
    assert not evaluation.passed
    assert verdict in (evaluation.description or "")


def test_an_hourly_month_warns_of_the_hour_that_summer_time_skips(warehouse: Warehouse) -> None:
    assert check(launch("hourly_temperatures", "2010-02-01")).passed
    march = check(launch("hourly_temperatures", "2010-03-01"))
    assert (march.passed, march.severity.value) == (False, "WARN")
    assert march.description == "2010-03-14 has 23 hours"
    assert value(warehouse, "select count(*) from hourly_temperatures") == 28 * 24 + 31 * 24 - 1


def test_airports_are_loaded_whole_and_checked(warehouse: Warehouse) -> None:
    result = launch("airports")
    assert check(result).passed
    assert value(warehouse, "select name from airports where iata = 'SEA'") == "Seattle-Tacoma Intl"
    assert value(warehouse, "select count(*) from airports where state is null") == 12
    change(warehouse, "update airports set latitude = 91 where iata = 'SEA'")
    assert not evaluate(airports.airports_are_on_the_globe, warehouse).passed
    assert check(launch("airports")).passed  # loading it again repairs it


def test_the_climate_is_that_of_the_months_that_have_landed(warehouse: Warehouse) -> None:
    for month in ("2012-01-01", "2013-01-01", "2012-07-01"):
        launch("daily_weather", month)
    launch("climate")
    assert value(warehouse, "select days from climate where month = 1") == 62
    july_is_drier = (
        "select (select share_of_rainy_days from climate where month = 7)"
        " < (select share_of_rainy_days from climate where month = 1)"
    )
    assert value(warehouse, july_is_drier)


@pytest.mark.usefixtures("database")
def test_the_climate_of_an_empty_warehouse_says_what_to_load_first() -> None:
    result = launch("climate", expect=False)
    [failure] = result.get_failed_step_keys()
    data = result.failure_data_for_node(failure)
    assert data is not None
    assert data.user_failure_data is not None
    assert data.user_failure_data.description == (
        'relation "daily_weather" does not exist yet. Materialise the asset of that name first.'
    )


def test_the_password_is_in_no_event(database: Database) -> None:
    with DagsterInstance.ephemeral() as instance:
        defs.resolve_job_def("airports").execute_in_process(instance=instance)
        [run] = instance.get_runs()
        stored = str(instance.all_logs(run.run_id)) + str(run)
    assert "warehouse__airports" in stored
    assert database.password not in stored

"""The reporting location's job, run against a real PostgreSQL, with and without what etl loads."""

from dagster import ExecuteInProcessResult
from etl.defs import defs as etl
from reporting.defs import defs as reporting
from reporting.warehouse import Warehouse

from tests.component.database import Database


def sources(result: ExecuteInProcessResult) -> dict[str, str]:
    """Where each table of the report says that its rows came from."""
    return {
        event.materialization.asset_key.path[-1]: str(event.materialization.metadata["source"].value)
        for event in result.get_asset_materialization_events()
    }


def test_the_report_needs_nothing_of_the_other_location(database: Database) -> None:
    result = reporting.resolve_job_def("airport_report").execute_in_process()
    assert sources(result) == {
        "airports_by_state": "vega_datasets: etl has not loaded the table airports yet",
        "weather_by_year": "nothing: etl has not loaded any month of weather yet",
    }
    warehouse = Warehouse(url=database.url, password=database.password)
    states = warehouse.read("airports_by_state")
    assert states is not None
    assert states.iloc[0].to_dict() == {
        "state": "AK",
        "airports": 263,
        "northernmost": "Wiley Post Will Rogers Memorial",
        "latitude": 71.2854475,
    }
    assert warehouse.read("weather_by_year") is None
    assert warehouse.read("airports") is None, "the table belongs to etl"


def test_the_report_is_made_of_what_the_other_location_loaded(database: Database) -> None:
    etl.resolve_job_def("airports").execute_in_process()
    for month in ("2012-01-01", "2012-02-01", "2013-01-01"):
        etl.resolve_job_def("daily_weather").execute_in_process(partition_key=month)
    warehouse = Warehouse(url=database.url, password=database.password)
    airports = warehouse.read("airports")
    assert airports is not None
    warehouse.write("airports", airports[airports["state"] == "WA"])

    result = reporting.resolve_job_def("airport_report").execute_in_process()

    assert sources(result) == {
        "airports_by_state": "table airports of the warehouse",
        "weather_by_year": "91 days in the table daily_weather of the warehouse",
    }
    states, years = warehouse.read("airports_by_state"), warehouse.read("weather_by_year")
    assert states is not None
    assert years is not None
    assert list(states["state"]) == ["WA"]
    assert dict(zip(years["year"], years["days"], strict=True)) == {2012: 60, 2013: 31}


def test_writing_the_report_again_replaces_it(database: Database) -> None:
    job = reporting.resolve_job_def("airport_report")
    job.execute_in_process()
    job.execute_in_process()
    states = Warehouse(url=database.url, password=database.password).read("airports_by_state")
    assert states is not None
    assert states["state"].is_unique

"""The two tables of the report, and the job that writes both."""

from typing import TYPE_CHECKING

from dagster import (
    AssetKey,
    AssetSelection,
    MaterializeResult,
    MetadataValue,
    TableMetadataValue,
    TableRecord,
    asset,
    define_asset_job,
)

from reporting import summaries
from reporting.warehouse import Warehouse

if TYPE_CHECKING:
    from pandas import DataFrame

AIRPORTS = AssetKey(["warehouse", "airports"])
DAILY_WEATHER = AssetKey(["warehouse", "daily_weather"])


@asset(key_prefix="reports", group_name="reports", kinds={"postgres"}, deps=[AIRPORTS])
def airports_by_state(warehouse: Warehouse) -> MaterializeResult[None]:
    """The airports of each state.

    Reads etl's table. Until etl has loaded it, the report is made of the same rows where etl would get them,
    in vega_datasets, and `source` says so: a report need not wait for another location.
    """
    airports, source = warehouse.read("airports"), "table airports of the warehouse"
    if airports is None:
        from vega_datasets import data

        airports, source = data.airports(), "vega_datasets: etl has not loaded the table airports yet"
    report = summaries.airports_by_state(airports)
    warehouse.write("airports_by_state", report)
    print(report.head(10).to_string(index=False))  # in the web UI, as what any step prints
    return MaterializeResult(metadata={"source": source, "airports": len(airports), **_facts(report)})


@asset(key_prefix="reports", group_name="reports", kinds={"postgres"}, deps=[DAILY_WEATHER])
def weather_by_year(warehouse: Warehouse) -> MaterializeResult[None]:
    """Seattle's weather of each year, as far as etl has loaded it; no table while it has loaded none."""
    days = warehouse.read("daily_weather")
    if days is None:
        return MaterializeResult(metadata={"source": "nothing: etl has not loaded any month of weather yet"})
    report = summaries.weather_by_year(days)
    warehouse.write("weather_by_year", report)
    source = f"{len(days)} days in the table daily_weather of the warehouse"
    return MaterializeResult(metadata={"source": source, **_facts(report)})


airport_report = define_asset_job(
    "airport_report",
    AssetSelection.assets(airports_by_state, weather_by_year),
    description="Write both tables of the report. Works before etl has run, and says what was missing.",
)


def _facts(report: "DataFrame") -> dict[str, int | TableMetadataValue]:
    """A report's size, and its first rows for the web UI."""
    first = [TableRecord(row) for row in report.head(10).to_dict("records")]
    return {"dagster/row_count": len(report), "first_rows": MetadataValue.table(first)}

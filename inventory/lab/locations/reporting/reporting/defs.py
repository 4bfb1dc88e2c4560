"""The code location: everything that Dagster loads from here."""

from dagster import Definitions, EnvVar, in_process_executor

from reporting import automation, reports
from reporting.warehouse import Warehouse

defs = Definitions(
    assets=[reports.airports_by_state, reports.weather_by_year],
    jobs=[reports.airport_report],
    sensors=[automation.airports_loaded],
    resources={"warehouse": Warehouse(url=EnvVar("WAREHOUSE_URL"), password=EnvVar("WAREHOUSE_PASSWORD"))},
    # The default starts one more interpreter per step: twice the CPU for runs as short as these.
    executor=in_process_executor,
)

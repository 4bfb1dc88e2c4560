"""The code location: everything that Dagster loads from here."""

from dagster import Definitions, EnvVar, in_process_executor

from etl import airports, automation, broken, climate, temperatures, weather
from etl.warehouse import Warehouse

defs = Definitions(
    assets=[weather.daily_weather, temperatures.hourly_temperatures, airports.airports, climate.climate],
    asset_checks=[
        weather.daily_weather_is_plausible,
        temperatures.hourly_temperatures_are_complete,
        airports.airports_are_on_the_globe,
    ],
    jobs=[
        automation.daily_weather,
        automation.hourly_temperatures,
        automation.airports_table,
        automation.climate_summary,
        broken.broken_on_purpose,
    ],
    schedules=[automation.next_month],
    sensors=[automation.months_landed],
    resources={"warehouse": Warehouse(url=EnvVar("WAREHOUSE_URL"), password=EnvVar("WAREHOUSE_PASSWORD"))},
    # The default starts one more interpreter per step: twice the CPU for runs as short as these.
    executor=in_process_executor,
)

"""Jobs, and what starts them without a person: a schedule and a sensor.

Both are off until somebody switches them on (Automation, in the web UI): a fleet that was just set up
runs what it is told to, and nothing else.
"""

from dagster import (
    AssetSelection,
    EventLogEntry,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    asset_sensor,
    define_asset_job,
    schedule,
)

from etl import airports, climate, temperatures, weather

daily_weather = define_asset_job(
    "daily_weather",
    AssetSelection.assets(weather.daily_weather),
    description="Load a month of weather, then check the table. Needs a partition, such as 2012-01-01.",
)
hourly_temperatures = define_asset_job(
    "hourly_temperatures",
    AssetSelection.assets(temperatures.hourly_temperatures),
    description="Load a month of temperatures, then check the table. Needs a partition, such as 2010-01-01.",
)
airports_table = define_asset_job(
    "airports",
    AssetSelection.assets(airports.airports),
    description="Load the airports, then check the table.",
)
climate_summary = define_asset_job(
    "climate",
    AssetSelection.assets(climate.climate),
    description="Summarise the weather that has landed.",
)


@schedule(job=daily_weather, cron_schedule="*/15 * * * *")
def next_month(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """Load the first month that has not landed yet: four years of history, replayed in half a day."""
    landed = context.instance.get_materialized_partitions(weather.daily_weather.key)
    months = weather.months.get_partition_keys()
    missing = next((month for month in months if month not in landed), None)
    if missing is None:
        return SkipReason(f"all {len(months)} months have landed")
    return RunRequest(partition_key=missing)


@asset_sensor(asset_key=weather.daily_weather.key, job=climate_summary, minimum_interval_seconds=30)
def months_landed(context: SensorEvaluationContext, asset_event: EventLogEntry) -> RunRequest:
    """Summarise the climate again when months have landed: once for all that landed since the last look."""
    context.log.info(f"the last of them came with run {asset_event.run_id}")
    return RunRequest()

"""A sensor across code locations: etl loads a table on one host, the report follows on another.

It is off until somebody switches it on (Automation, in the web UI).
"""

from dagster import EventLogEntry, RunRequest, SensorEvaluationContext, asset_sensor

from reporting.reports import AIRPORTS, airport_report


@asset_sensor(asset_key=AIRPORTS, job=airport_report, minimum_interval_seconds=30)
def airports_loaded(context: SensorEvaluationContext, asset_event: EventLogEntry) -> RunRequest:
    """Write the report again when etl has loaded the airports."""
    context.log.info(f"run {asset_event.run_id} loaded them")
    return RunRequest()

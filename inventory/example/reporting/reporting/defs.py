"""How full the host's disk is, each morning."""

import shutil

import dagster as dg


@dg.asset(group_name="host")
def disk_space(context: dg.AssetExecutionContext) -> None:
    """The disk of the host that runs this location, in GiB."""
    usage = shutil.disk_usage("/")
    context.add_output_metadata(
        {"total": usage.total / 2**30, "free": usage.free / 2**30, "used_share": usage.used / usage.total}
    )


report = dg.define_asset_job("disk_report", selection=[disk_space])

defs = dg.Definitions(
    assets=[disk_space],
    jobs=[report],
    schedules=[dg.ScheduleDefinition(job=report, cron_schedule="0 6 * * *")],
)

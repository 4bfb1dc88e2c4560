"""Seattle's temperature, hour by hour, a month a partition."""

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    MaterializeResult,
    MonthlyPartitionsDefinition,
    asset,
    asset_check,
)
from sqlalchemy import Column, DateTime, Float, MetaData, Table, and_, func, select

from etl import sources
from etl.warehouse import Warehouse

months = MonthlyPartitionsDefinition(start_date="2010-01-01", end_date="2011-01-01")

HOURS_OF_DAY = 24

table = Table(
    "hourly_temperatures",
    MetaData(),
    Column("hour", DateTime, primary_key=True),
    Column("celsius", Float),
)


@asset(key_prefix="warehouse", group_name="weather", kinds={"postgres"}, partitions_def=months)
def hourly_temperatures(context: AssetExecutionContext, warehouse: Warehouse) -> MaterializeResult[None]:
    """The temperature of every hour in Seattle, 2010, converted to degrees Celsius."""
    window = context.partition_time_window
    start, end = window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)
    rows = sources.hourly_temperatures(start, end)
    total = warehouse.replace(table, rows, where=and_(table.c.hour >= start, table.c.hour < end))
    celsius = [row["celsius"] for row in rows]
    return MaterializeResult(
        metadata={
            "dagster/partition_row_count": len(rows),
            "dagster/row_count": total,
            "mean": round(sum(celsius) / len(celsius), 2),
            "warmest": max(celsius),
            "coldest": min(celsius),
        }
    )


@asset_check(asset=hourly_temperatures)
def hourly_temperatures_are_complete(warehouse: Warehouse) -> AssetCheckResult:
    """Every day that landed has its 24 hours.

    The source lacks the hour that summer time skips, on 14 March. Hence a warning: no reason to stop.
    """
    day = func.date_trunc("day", table.c.hour)
    incomplete = warehouse.query(
        select(func.to_char(day, "YYYY-MM-DD").label("day"), func.count().label("hours"))
        .group_by(day)
        .having(func.count() != HOURS_OF_DAY)
        .order_by(day)
    )
    found = ", ".join(f"{row['day']} has {row['hours']} hours" for row in incomplete)
    return AssetCheckResult(
        passed=not incomplete,
        severity=AssetCheckSeverity.WARN,
        description=found or "every day has 24 hours",
        metadata={row["day"]: row["hours"] for row in incomplete},
    )

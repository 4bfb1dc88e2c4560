"""Seattle's weather, a month a partition."""

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    MaterializeResult,
    MonthlyPartitionsDefinition,
    asset,
    asset_check,
)
from sqlalchemy import Column, Date, Float, MetaData, Table, Text, and_, func, or_, select, text

from etl import sources
from etl.warehouse import Warehouse

months = MonthlyPartitionsDefinition(start_date="2012-01-01", end_date="2016-01-01")

# Beyond these, in degrees Celsius, a value is a mistake: Seattle has never measured either.
COLDEST, WARMEST = -20, 45

table = Table(
    "daily_weather",
    MetaData(),
    Column("day", Date, primary_key=True),
    Column("rain_mm", Float),
    Column("temp_max", Float),
    Column("temp_min", Float),
    Column("wind", Float),
    Column("sky", Text),
)


@asset(key_prefix="warehouse", group_name="weather", kinds={"postgres"}, partitions_def=months)
def daily_weather(context: AssetExecutionContext, warehouse: Warehouse) -> MaterializeResult[None]:
    """Rain, temperatures, wind and sky of every day in Seattle, 2012 to 2015."""
    window = context.partition_time_window
    # The data's days have no time zone, and neither has the column.
    start, end = window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)
    rows = sources.daily_weather(start, end)
    total = warehouse.replace(table, rows, where=and_(table.c.day >= start.date(), table.c.day < end.date()))
    # What a step prints is in the web UI too, whichever host it ran on.
    for row in rows:
        print(f"{row['day']:%Y-%m-%d} {row['temp_min']:5.1f} to {row['temp_max']:4.1f} °C, {row['sky']}")
    context.log.info(f"{len(rows)} days of {start:%B %Y} written, {total} days in the table")
    return MaterializeResult(
        metadata={
            "dagster/partition_row_count": len(rows),
            "dagster/row_count": total,
            "rain_mm": round(sum(row["rain_mm"] for row in rows), 1),
            "warmest": max(row["temp_max"] for row in rows),
            "coldest": min(row["temp_min"] for row in rows),
        }
    )


@asset_check(asset=daily_weather)
def daily_weather_is_plausible(warehouse: Warehouse) -> AssetCheckResult:
    """Every month that landed has all of its days, no value is missing, temperatures are Seattle's."""
    month = func.date_trunc("month", table.c.day)
    last_day = func.date_part("day", month + text("interval '1 month - 1 day'"))
    short = select(month).group_by(month).having(func.count() != last_day).subquery()
    incomplete = or_(*(column.is_(None) for column in table.c))
    implausible = or_(
        table.c.temp_min > table.c.temp_max,
        table.c.temp_min < COLDEST,
        table.c.temp_max > WARMEST,
        table.c.rain_mm < 0,
        table.c.wind < 0,
    )
    faults = {
        "months without all of their days": select(func.count()).select_from(short).scalar_subquery(),
        "days that lack a value": func.count().filter(incomplete),
        "days with an impossible value": func.count().filter(implausible),
    }
    [counts] = warehouse.query(
        select(
            func.count().label("days"), *(number.label(fault) for fault, number in faults.items())
        ).select_from(table)
    )
    found = [f"{counts[fault]} {fault}" for fault in faults if counts[fault]]
    return AssetCheckResult(
        passed=counts["days"] > 0 and not found,
        description=f"{counts['days']} days: {', '.join(found) or 'no fault found'}",
        metadata=dict(counts),
    )

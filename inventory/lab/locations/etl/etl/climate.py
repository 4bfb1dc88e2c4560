"""What the year is like in Seattle: the daily weather, told by calendar month."""

from dagster import MaterializeResult, asset
from sqlalchemy import Column, Float, Integer, MetaData, Table, extract, func, select

from etl import weather
from etl.warehouse import Warehouse

table = Table(
    "climate",
    MetaData(),
    Column("month", Integer, primary_key=True),
    Column("days", Integer),
    Column("share_of_rainy_days", Float),
    Column("mean_temp_max", Float),
    Column("mean_temp_min", Float),
)


@asset(key_prefix="warehouse", group_name="weather", kinds={"postgres"}, deps=[weather.daily_weather])
def climate(warehouse: Warehouse) -> MaterializeResult[None]:
    """Rainy days and mean temperatures of each calendar month, of all the years that have landed."""
    days = weather.table.c
    month = extract("month", days.day)
    rows = warehouse.query(
        select(
            month.label("month"),
            func.count().label("days"),
            (func.count().filter(days.rain_mm > 0) * 1.0 / func.count()).label("share_of_rainy_days"),
            func.avg(days.temp_max).label("mean_temp_max"),
            func.avg(days.temp_min).label("mean_temp_min"),
        )
        .group_by(month)
        .order_by(month)
    )
    total = warehouse.replace(table, [dict(row) for row in rows])
    return MaterializeResult(metadata={"dagster/row_count": total, "days": sum(row["days"] for row in rows)})

"""The airports of the United States: one table, no partitions."""

from dagster import AssetCheckResult, MaterializeResult, asset, asset_check
from sqlalchemy import Column, Float, MetaData, Table, Text, and_, func, not_, select

from etl import sources
from etl.warehouse import Warehouse

table = Table(
    "airports",
    MetaData(),
    Column("iata", Text, primary_key=True),
    Column("name", Text),
    Column("city", Text),
    Column("state", Text),
    Column("country", Text),
    Column("latitude", Float),
    Column("longitude", Float),
)


@asset(key_prefix="warehouse", group_name="airports", kinds={"postgres"})
def airports(warehouse: Warehouse) -> MaterializeResult[None]:
    """Code, name, place and position of each airport."""
    rows = sources.airports()
    return MaterializeResult(
        metadata={
            "dagster/row_count": warehouse.replace(table, rows),
            "states": len({row["state"] for row in rows if row["state"]}),
            "without_a_state": sum(row["state"] is None for row in rows),
        }
    )


@asset_check(asset=airports)
def airports_are_on_the_globe(warehouse: Warehouse) -> AssetCheckResult:
    """Each airport has a name and a position that exists."""
    position = and_(table.c.latitude.between(-90, 90), table.c.longitude.between(-180, 180))
    good = func.coalesce(and_(table.c.name != "", position), False)
    bad = func.count().filter(not_(good))
    [counts] = warehouse.query(select(func.count().label("airports"), bad.label("bad")).select_from(table))
    return AssetCheckResult(
        passed=counts["airports"] > 0 and counts["bad"] == 0,
        description=f"{counts['bad']} of {counts['airports']} airports lack a name or a position",
        metadata=dict(counts),
    )

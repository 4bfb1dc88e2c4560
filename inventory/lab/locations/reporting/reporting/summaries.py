"""What the reports say: data frames in, data frames out, no database."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def airports_by_state(airports: "DataFrame") -> "DataFrame":
    """How many airports each state has, most first, and where the northernmost of them lies."""
    northernmost = airports.sort_values("latitude", ascending=False)
    report = (
        northernmost.assign(state=northernmost["state"].fillna("not given"))
        .groupby("state", sort=True)
        .agg(airports=("iata", "size"), northernmost=("name", "first"), latitude=("latitude", "first"))
        .reset_index()
    )
    return report.sort_values(["airports", "state"], ascending=[False, True], ignore_index=True)


def weather_by_year(days: "DataFrame") -> "DataFrame":
    """Rain, extremes and sunny days of each year, of the days that have landed so far."""
    return (
        days.assign(year=days["day"].dt.year, sunny=days["sky"] == "sun")
        .groupby("year", sort=True)
        .agg(
            days=("day", "size"),
            rain_mm=("rain_mm", "sum"),
            warmest=("temp_max", "max"),
            coldest=("temp_min", "min"),
            sunny_days=("sunny", "sum"),
        )
        .reset_index()
        .round(1)
    )

"""The tables that vega_datasets ships. Reading them is local: nothing is downloaded.

pandas is imported when a run first needs it: the code server, which only describes assets, starts without it.
"""

from datetime import datetime
from typing import Any

Row = dict[str, Any]


def daily_weather(start: datetime, end: datetime) -> list[Row]:
    """Seattle's weather of each day from `start` to before `end` (2012 to 2015): mm, degrees Celsius, m/s."""
    from vega_datasets import data

    ours = {"date": "day", "precipitation": "rain_mm", "weather": "sky"}
    frame = data.seattle_weather().rename(columns=ours)
    return _rows(frame[(frame.day >= start) & (frame.day < end)])


def hourly_temperatures(start: datetime, end: datetime) -> list[Row]:
    """Seattle's temperature of each hour from `start` to before `end` (all of 2010), in degrees Celsius."""
    from vega_datasets import data

    frame = data.seattle_temps().rename(columns={"date": "hour"})
    frame["celsius"] = ((frame.temp - 32) * 5 / 9).round(2)
    return _rows(frame.loc[(frame.hour >= start) & (frame.hour < end), ["hour", "celsius"]])


def airports() -> list[Row]:
    """The airports of the United States, by IATA code. Twelve have neither city nor state in the source."""
    from vega_datasets import data

    return _rows(data.airports())


def _rows(frame: Any) -> list[Row]:
    """Turn a data frame into rows for the database, where a missing value is None and not pandas' NaN."""
    rows: list[Row] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows

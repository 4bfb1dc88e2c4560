"""What the example locations read: the tables that vega_datasets really ships."""

import socket
from datetime import datetime
from typing import NoReturn

import pytest
from etl import sources


@pytest.fixture(autouse=True)
def _without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a source opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_leap_february_has_29_days() -> None:
    rows = sources.daily_weather(datetime(2012, 2, 1), datetime(2012, 3, 1))
    assert [row["day"].day for row in rows] == list(range(1, 30))
    assert set(rows[0]) == {"day", "rain_mm", "temp_max", "temp_min", "wind", "sky"}


def test_the_first_and_the_last_day_belong_to_a_month_and_to_no_other() -> None:
    december = sources.daily_weather(datetime(2014, 12, 1), datetime(2015, 1, 1))
    january = sources.daily_weather(datetime(2015, 1, 1), datetime(2015, 2, 1))
    assert (december[-1]["day"], january[0]["day"]) == (datetime(2014, 12, 31), datetime(2015, 1, 1))


def test_temperatures_are_converted_to_celsius() -> None:
    [row] = sources.hourly_temperatures(datetime(2010, 1, 1, 0), datetime(2010, 1, 1, 1))
    assert row == {"hour": datetime(2010, 1, 1), "celsius": 4.11}  # 39.4 degrees Fahrenheit


def test_the_hour_that_summer_time_skips_is_missing_in_the_source() -> None:
    rows = sources.hourly_temperatures(datetime(2010, 3, 14), datetime(2010, 3, 15))
    assert len(rows) == 23


def test_a_missing_state_is_none_for_the_database() -> None:
    airports = {row["iata"]: row for row in sources.airports()}
    assert airports["SEA"]["state"] == "WA"
    assert airports["MQT"]["state"] is None

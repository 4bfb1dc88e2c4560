"""The sums of the reporting location, on tables small enough to add up by hand."""

from pandas import DataFrame, Timestamp
from reporting import summaries


def test_states_come_in_order_of_their_airports() -> None:
    airports = DataFrame(
        [
            {"iata": "ANC", "name": "Anchorage", "state": "AK", "latitude": 61.2},
            {"iata": "SEA", "name": "Seattle-Tacoma", "state": "WA", "latitude": 47.4},
            {"iata": "BLI", "name": "Bellingham", "state": "WA", "latitude": 48.8},
            {"iata": "YAP", "name": "Yap", "state": None, "latitude": 9.5},
        ]
    )
    assert summaries.airports_by_state(airports).to_dict("records") == [
        {"state": "WA", "airports": 2, "northernmost": "Bellingham", "latitude": 48.8},
        {"state": "AK", "airports": 1, "northernmost": "Anchorage", "latitude": 61.2},
        {"state": "not given", "airports": 1, "northernmost": "Yap", "latitude": 9.5},
    ]


def test_years_are_summed_up_apart() -> None:
    days = DataFrame(
        [
            {"day": Timestamp(2012, 12, 31), "rain_mm": 1.5, "temp_max": 5.0, "temp_min": 1.0, "sky": "rain"},
            {"day": Timestamp(2013, 1, 1), "rain_mm": 0.0, "temp_max": 7.0, "temp_min": -2.0, "sky": "sun"},
            {"day": Timestamp(2013, 1, 2), "rain_mm": 2.0, "temp_max": 6.0, "temp_min": 0.5, "sky": "rain"},
        ]
    )
    first, second = summaries.weather_by_year(days).to_dict("records")
    assert first == {
        "year": 2012, "days": 1, "rain_mm": 1.5, "warmest": 5.0, "coldest": 1.0, "sunny_days": 0,
    }  # fmt: skip
    assert second == {
        "year": 2013, "days": 2, "rain_mm": 2.0, "warmest": 7.0, "coldest": -2.0, "sunny_days": 1,
    }  # fmt: skip

"""A breaking change comes to a fleet only once its owner has written its number down."""

import re

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import Fleet
from dagfleet.fleet.breaking import BREAKING, Breaking, latest, refuse_unacknowledged, unacknowledged
from dagfleet.fleet.loading import parse_fleet

from tests.unit.fleet.test_editing import FLOW
from tests.unit.fleet.texts import problems_with

OTHERS = (
    Breaking(number=1, since="0.2.0", sentence="doors open inwards", do="move the table"),
    Breaking(number=2, since="0.3.0", sentence="windows shut", do="breathe", concerns=lambda _fleet: False),
    Breaking(number=3, since="0.3.0", sentence="lights go out", do="buy candles"),
)


def fleet(acknowledge: str = "") -> Fleet:
    return parse_fleet(FLOW + acknowledge, name="fleet.yml")


def test_numbers_are_given_once_and_in_order_and_each_says_what_to_do() -> None:
    assert [each.number for each in BREAKING] == list(range(1, latest() + 1))
    for each in BREAKING:
        assert each.sentence
        assert each.do
        assert re.fullmatch(r"\d+\.\d+\.\d+", each.since)


def test_a_fleet_that_was_never_applied_has_nothing_that_could_change() -> None:
    assert unacknowledged(fleet(), applied_with=None, changes=OTHERS) == []


def test_only_what_came_since_the_last_apply_and_concerns_the_fleet_is_asked_for() -> None:
    def asked(applied_with: int, acknowledge: str = "") -> list[int]:
        found = unacknowledged(fleet(acknowledge), applied_with=applied_with, changes=OTHERS)
        return [each.number for each in found]

    assert asked(0) == [1, 3]
    assert asked(1) == [3]
    assert asked(3) == []
    assert asked(0, "acknowledge: [1]\n") == [3]


def test_the_refusal_names_each_change_what_to_do_and_the_line_to_add() -> None:
    with pytest.raises(ConfigurationError) as told:
        refuse_unacknowledged(fleet("acknowledge: [1]\n"), applied_with=0, changes=OTHERS)
    assert told.value.exit_code == 3
    assert "3  since 0.3.0: lights go out\n     otherwise: buy candles" in told.value.message
    assert "doors" not in told.value.message
    assert told.value.fix == "if that may be, write this line into fleet.yml: acknowledge: [1, 3]"


def test_that_line_is_all_that_it_takes() -> None:
    with pytest.raises(ConfigurationError) as told:
        refuse_unacknowledged(fleet(), applied_with=0)
    line = (told.value.fix or "").partition("fleet.yml: ")[2]
    refuse_unacknowledged(fleet(f"{line}\n"), applied_with=0)


def test_removed_images_concern_only_fleets_that_have_some() -> None:
    [change] = [each for each in BREAKING if "image" in each.sentence]
    assert change.concerns(fleet())
    without = FLOW.replace('locations: {etl: {hosts: [beta, gamma], image: "etl:1", module: etl.defs}}\n', "")
    assert not change.concerns(parse_fleet(without, name="fleet.yml"))


def test_a_number_that_nothing_has_yet_agrees_to_nothing() -> None:
    told = problems_with(acknowledge=f"acknowledge: [{latest() + 1}]")
    assert told == {"acknowledge": f"no breaking change has the number {latest() + 1} yet; take this out"}
    assert problems_with(acknowledge="acknowledge: [1]") == {}

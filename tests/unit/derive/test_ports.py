"""A location keeps its port while others come and go."""

from collections.abc import Sequence

import pytest
from dagfleet.derive import location_port, location_ports
from dagfleet.derive.ports import _slot
from dagfleet.fleet import Fleet

from tests.unit.fleet.texts import fleet_with


def fleet_of(names: Sequence[str]) -> Fleet:
    lines = [f'  {name}: {{hosts: [beta], image: "etl:1", module: etl.defs}}' for name in names]
    return fleet_with(locations="\n".join(["locations:", *lines]))


def two_on_one_slot() -> tuple[str, str]:
    seen: dict[int, str] = {}
    for number in range(10_000):
        name = f"location-{number}"
        if (slot := _slot(name)) in seen:
            return seen[slot], name
        seen[slot] = name
    raise AssertionError


def test_ports_are_even_and_below_those_of_outgoing_connections() -> None:
    ports = location_ports(fleet_of([f"location-{number}" for number in range(300)]))
    assert len(set(ports.values())) == 300
    assert all(port % 2 == 0 and 20_000 <= port <= 32_766 for port in ports.values())


@pytest.mark.parametrize("others", [["a"], ["z"], ["a", "b", "c", "z"]])
def test_a_port_stays_when_others_are_added_or_removed(others: list[str]) -> None:
    alone = location_port(fleet_of(["etl"]), "etl")
    assert location_port(fleet_of([*others, "etl"]), "etl") == alone
    assert location_port(fleet_of(["etl", *others]), "etl") == alone


def test_the_later_of_two_on_one_slot_takes_the_next() -> None:
    first, second = two_on_one_slot()
    alone = location_port(fleet_of([first]), first)
    ports = location_ports(fleet_of([first, second]))
    assert ports == {first: alone, second: alone + 2}


def test_names_and_ports_are_what_hosts_out_there_have() -> None:
    assert location_ports(fleet_of(["etl", "reporting"])) == {"etl": 31080, "reporting": 26702}

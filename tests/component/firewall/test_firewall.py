"""Who can connect to what on a host, by IPv4 and IPv6: the role's own table in a real kernel."""

from collections.abc import Iterator

import pytest

from tests.component.firewall.conftest import CONTAINER, LOOPBACK_PORT, PORTS, Lan, run, within

BOTH = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(autouse=True)
def _clean(lan: Lan) -> Iterator[None]:
    yield
    lan.unload()


@BOTH
@pytest.mark.parametrize("who", ["mate", "operator", "outsider"])
def test_without_the_table_everything_is_open(lan: Lan, who: str, version: int) -> None:
    assert lan.open_to(who, version) == set(PORTS)


@BOTH
def test_strangers_find_ssh_and_the_web_ui(lan: Lan, version: int) -> None:
    lan.load("plain")
    assert lan.open_to("outsider", version) == {22, 443}


def test_hosts_of_the_fleet_find_its_doors_too_and_operators_docker(lan: Lan) -> None:
    lan.load("plain")
    assert lan.open_to("mate") == {22, 443, 2376, 4443}
    assert lan.open_to("operator") == {22, 443, 2376}


@pytest.mark.parametrize("who", ["mate", "operator"])
def test_an_ipv6_address_that_nobody_named_is_a_strangers(lan: Lan, who: str) -> None:
    lan.load("plain")
    assert lan.open_to(who, 6) == {22, 443}


@BOTH
def test_each_door_can_be_narrowed_and_others_opened(lan: Lan, version: int) -> None:
    lan.load("narrow")
    assert lan.open_to("operator", version) == {22, 2376, 5000} | ({443} if version == 4 else set())
    assert lan.open_to("outsider", version) == {5000, 9100}


@BOTH
def test_a_host_that_somebody_else_rules_keeps_its_other_ports(lan: Lan, version: int) -> None:
    lan.load("shared")
    assert lan.open_to("outsider", version) == set(PORTS) - {22, 2376, 4443}


def test_containers_find_what_the_host_offers_them_and_the_public_doors(lan: Lan) -> None:
    lan.load("plain")
    assert lan.open_to("container") == {22, 443, 6432}


def test_a_neighbour_reaches_neither_loopback_nor_containers_by_a_route_of_its_own(lan: Lan) -> None:
    targets = [("127.0.0.1", LOOPBACK_PORT), (CONTAINER, 8000)]
    assert sorted(lan.reached("outsider", targets)) == sorted(targets)
    lan.load("plain")
    assert lan.reached("outsider", targets) == []


def test_a_neighbour_does_not_reach_the_database_by_the_containers_address(lan: Lan) -> None:
    lan.load("plain")
    assert lan.reached("outsider", [("172.31.250.1", 6432)]) == []


@BOTH
def test_the_host_itself_goes_out_and_hears_answers(lan: Lan, version: int) -> None:
    lan.load("plain")
    target = ({4: "10.99.0.2", 6: "fd00:99::2"}[version], 8000)
    assert lan.reached("host", [target]) == [target]


def test_rules_of_others_stay(lan: Lan) -> None:
    foreign = (
        "table inet foreign { chain input { type filter hook input priority 0; tcp dport 9999 drop; }; }"
    )
    run(*within("host", "nft", f"add {foreign}"))
    for table in ("plain", "narrow", "shared"):
        lan.load(table)
    lan.unload()
    assert "9999" in run(*within("host", "nft", "list", "ruleset"))

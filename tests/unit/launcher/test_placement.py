from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from dagster_multihost_launcher import placement, schema
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.placement import Share, Wanted, best, eligible, reasons, share_of
from dagster_multihost_launcher.reservations import Reservation, Reservations
from dagster_multihost_launcher.settings import Host
from hypothesis import given
from hypothesis import strategies as st

GIB = 2**30
BETA = Host(name="beta", max_runs=2, labels={"gpu": "true", "zone": "a"})
GAMMA = Host(name="gamma", labels={"zone": "b"})
ETL = Wanted(location="etl")


def runs(**counts: int) -> dict[str, list[Share]]:
    return {name: [Share(location="etl")] * count for name, count in counts.items()}


def name_of(host: Host | None) -> str | None:
    return host.name if host else None


@pytest.mark.parametrize(
    ("active", "host"),
    [
        ({}, "beta"),
        ({"beta": 1}, "gamma"),
        ({"beta": 1, "gamma": 3}, "beta"),
        ({"beta": 2, "gamma": 3}, "gamma"),
    ],
)
def test_the_least_loaded_host_with_room_is_chosen(active: dict[str, int], host: str) -> None:
    assert name_of(best((BETA, GAMMA), ETL, runs(**active))) == host


def test_a_big_host_carries_more_than_a_small_one_before_they_are_equally_loaded() -> None:
    small, big = Host(name="small", max_runs=2), Host(name="big", max_runs=20)
    assert name_of(best((small, big), ETL, runs(small=1, big=9))) == "big"
    assert name_of(best((small, big), ETL, runs(small=1, big=11))) == "small"


def test_a_paused_host_is_passed_over_and_says_so() -> None:
    wanted = Wanted(location="etl", avoid=frozenset({"gamma"}))
    assert name_of(best((BETA, GAMMA), wanted, runs(beta=1))) == "beta"
    assert name_of(best((GAMMA,), wanted, runs())) is None
    assert list(reasons(GAMMA, wanted, runs())) == ["gamma is paused"]


def test_spread_puts_as_few_runs_of_one_location_as_possible_where_one_host_can_lose_them() -> None:
    wanted = Wanted(location="etl", strategy=schema.SPREAD)
    carried = {"beta": [Share(location="etl")], "gamma": [Share(location="ml")] * 5}
    assert name_of(best((Host(name="beta"), GAMMA), wanted, carried)) == "gamma"
    assert name_of(best((Host(name="beta"), GAMMA), ETL, carried)) == "beta"


def test_pack_fills_one_host_before_it_begins_the_next() -> None:
    wanted = Wanted(location="etl", strategy=schema.PACK)
    pair = (Host(name="beta", max_runs=2), Host(name="gamma", max_runs=2))
    assert name_of(best(pair, wanted, runs())) == "beta"
    assert name_of(best(pair, wanted, runs(gamma=1))) == "gamma"
    assert name_of(best(pair, wanted, runs(gamma=2))) == "beta"


def test_a_full_or_drained_host_says_so() -> None:
    assert best((BETA,), ETL, runs(beta=2)) is None
    assert list(reasons(BETA, ETL, runs(beta=2))) == ["beta (max_runs 2) has 2"]
    assert list(reasons(Host(name="delta", max_runs=0), ETL, {})) == ["delta is drained (max_runs 0)"]


def test_memory_and_cpus_that_runs_ask_for_add_up_to_no_more_than_the_host_has() -> None:
    host = Host(name="beta", cpus=4, memory=8 * GIB)
    asking = Share(location="etl", cpus=1.5, memory=3 * GIB)
    wanted = Wanted(location="etl", shares={"beta": asking})
    assert best((host,), wanted, {"beta": [asking]}) == host
    assert list(reasons(host, wanted, {"beta": [asking, asking]})) == [
        "beta has 1 of 4 cpus left for 1.5",
        "beta has 2 GiB of 8 GiB memory left for 3 GiB",
    ]
    assert best((host,), ETL, {"beta": [asking, asking]}) == host  # it asks for nothing


def test_a_run_that_no_host_can_ever_take_is_refused_at_once() -> None:
    host = Host(name="beta", memory=8 * GIB)
    wanted = Wanted(location="etl", shares={"beta": Share(memory=9 * GIB)})
    with pytest.raises(LaunchError, match=r"No host of etl is big enough .* 8 GiB memory left for 9 GiB"):
        eligible((host,), wanted)


def test_a_pin_holds_the_run_to_its_host() -> None:
    assert eligible((BETA, GAMMA), Wanted(location="etl", pin="gamma")) == [GAMMA]


def test_a_pin_to_a_host_outside_the_pool_names_the_pool_and_the_nearest() -> None:
    with pytest.raises(
        LaunchError, match=r"multihost/host is gama, but etl runs on beta, gamma. Did you mean gamma\?"
    ):
        eligible((BETA, GAMMA), Wanted(location="etl", pin="gama"))


def test_only_hosts_with_all_labels_are_eligible() -> None:
    pool = (BETA, GAMMA)
    assert eligible(pool, Wanted(labels={"zone": "b"})) == [GAMMA]
    assert eligible(pool, Wanted(labels={"zone": "a", "gpu": "true"})) == [BETA]


def test_labels_that_no_host_has_are_refused_and_every_host_tells_its_own() -> None:
    with pytest.raises(LaunchError) as caught:
        eligible((BETA, GAMMA), Wanted(location="etl", labels={"gpu": "true", "zone": "b"}))
    assert "the labels gpu=true, zone=b: beta has gpu=true, zone=a; gamma has zone=b" in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "share"),
    [
        ({}, Share(location="etl")),
        ({"mem_limit": "2g", "nano_cpus": 1_500_000_000}, Share(location="etl", cpus=1.5, memory=2 * GIB)),
        ({"mem_limit": GIB, "cpu_quota": 50_000}, Share(location="etl", cpus=0.5, memory=GIB)),
        ({"cpu_quota": 50_000, "cpu_period": 25_000}, Share(location="etl", cpus=2)),
        ({"cpu_quota": -1}, Share(location="etl")),
    ],
)
def test_what_a_run_takes_is_what_its_arguments_limit_it_to(kwargs: Mapping[str, Any], share: Share) -> None:
    assert share_of("etl", kwargs) == share


HOSTS = st.lists(
    st.builds(
        Host,
        name=st.sampled_from("abcde"),
        max_runs=st.none() | st.integers(0, 4),
        cpus=st.none() | st.integers(1, 8).map(float),
        memory=st.none() | st.integers(1, 8).map(lambda gib: gib * GIB),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda host: host.name,
)
SHARES = st.builds(
    Share,
    location=st.sampled_from(["etl", "ml"]),
    cpus=st.integers(0, 4).map(float),
    memory=st.integers(0, 4).map(lambda gib: gib * GIB),
)
CARRIED = st.fixed_dictionaries({name: st.lists(SHARES, max_size=4) for name in "abcde"})


@given(HOSTS, CARRIED, SHARES, st.sampled_from(schema.PLACEMENTS))
def test_a_host_is_chosen_exactly_if_one_has_room_and_stays_within_its_capacity(
    hosts: list[Host], carried: dict[str, list[Share]], share: Share, strategy: str
) -> None:
    wanted = Wanted(location="etl", strategy=strategy, shares={host.name: share for host in hosts})
    chosen = best(hosts, wanted, carried)
    free = [host for host in hosts if not list(reasons(host, wanted, carried))]
    assert (chosen is None) == (not free)
    if chosen is None:
        return
    after = [*carried[chosen.name], share]
    assert chosen.max_runs is None or len(after) <= chosen.max_runs
    assert chosen.cpus is None or not share.cpus or sum(each.cpus for each in after) <= chosen.cpus
    assert chosen.memory is None or not share.memory or sum(each.memory for each in after) <= chosen.memory


@given(HOSTS, CARRIED)
def test_spread_never_chooses_a_host_that_has_more_of_the_location(
    hosts: list[Host], carried: dict[str, list[Share]]
) -> None:
    wanted = Wanted(location="etl", strategy=schema.SPREAD)
    chosen = best(hosts, wanted, carried)

    def same(host: Host) -> int:
        return sum(share.location == "etl" for share in carried[host.name])

    if chosen:
        assert same(chosen) == min(same(host) for host in hosts if not list(reasons(host, wanted, carried)))


@given(HOSTS, CARRIED)
def test_pack_leaves_every_host_empty_that_it_can_leave_empty(
    hosts: list[Host], carried: dict[str, list[Share]]
) -> None:
    wanted = Wanted(location="etl", strategy=schema.PACK)
    chosen = best(hosts, wanted, carried)
    free = [host for host in hosts if not list(reasons(host, wanted, carried))]
    if chosen and any(carried[host.name] for host in free):
        assert carried[chosen.name]


def test_a_single_host_without_capacities_needs_no_counting() -> None:
    def refuse() -> placement.Carried:
        raise AssertionError("counted")

    with Reservations().best((GAMMA,), ETL, refuse) as place:
        assert isinstance(place, Reservation)
        assert place.host is GAMMA


def test_launches_under_way_take_places_until_their_tags_count() -> None:
    reservations = Reservations()
    stored = runs(beta=0)

    def chosen() -> str | list[str]:
        with reservations.best((BETA,), ETL, lambda: stored) as place:
            return place.host.name if isinstance(place, Reservation) else place

    with (
        reservations.best((BETA,), ETL, lambda: stored) as first,
        reservations.best((BETA,), ETL, lambda: stored) as second,
    ):
        assert isinstance(first, Reservation)
        assert isinstance(second, Reservation)
        assert chosen() == ["beta (max_runs 2) has 2"]
        stored = runs(beta=1)
        first.release()  # its tags are in the storage now
        assert chosen() == ["beta (max_runs 2) has 2"]
        stored = runs(beta=0)
        assert chosen() == "beta"
    assert chosen() == "beta"

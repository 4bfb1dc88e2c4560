"""A host that starts again, or whose Docker does, is as closed as before, and serves its runs again."""

import time
from collections.abc import Callable

import pytest
from dagfleet.control.plane import JobSelector

from tests.e2e.deployed import ON_DEMO, DeployedFleet

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to restart")
HOST = "beta"
BACK_SECONDS = 180


def table(fleet: DeployedFleet) -> str:
    """Our rules as the kernel has them, without what they counted."""
    return fleet.sh(HOST, "nft list table inet dagfleet | sed 's/ packets [0-9]* bytes [0-9]*//'")


def dockers(fleet: DeployedFleet) -> str:
    """Docker's own chains, and that it translates addresses."""
    return fleet.sh(HOST, "iptables-save -t nat | grep -c MASQUERADE; iptables-save | grep -c '^:DOCKER'")


def eventually(works: Callable[[], object]) -> None:
    """Try until it works, for as long as a machine may take to start."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            if works():
                return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline
        time.sleep(1)


def serves(fleet: DeployedFleet) -> bool:
    return fleet.sh(HOST, "docker ps --format '{{.Names}}' | grep -cx dagfleet-location-etl").strip() == "1"


def test_the_firewall_survives_dockers_restart_and_docker_the_firewalls(fleet: DeployedFleet) -> None:
    ours, theirs = table(fleet), dockers(fleet)
    assert "policy drop" in ours or " drop" in ours
    fleet.sh(HOST, "systemctl restart docker")
    assert table(fleet) == ours
    fleet.sh(HOST, "systemctl restart dagfleet-firewall")
    assert table(fleet) == ours
    assert dockers(fleet) == theirs
    eventually(lambda: serves(fleet))


def test_a_host_that_starts_again_is_closed_from_its_first_packet_and_takes_runs(
    fleet: DeployedFleet,
) -> None:
    ours = table(fleet)
    fleet.machine(HOST).restart(timeout=30)
    eventually(lambda: table(fleet) == ours)
    ordered = fleet.sh(HOST, "systemctl show -P Before dagfleet-firewall").split()
    assert "network-pre.target" in ordered
    eventually(lambda: serves(fleet))
    eventually(lambda: fleet.operator.run("doctor").code == 0)
    planned = fleet.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors
    paused = fleet.operator.run("queue", "pause", "host", "gamma")
    assert paused.code == 0, paused.output + paused.errors
    try:
        with fleet.plane() as plane:
            run_id = plane.launch(JobSelector(location="etl", job="daily_weather"), partition="2015-06-01")
            run = plane.finished(run_id, timeout=180)
    finally:
        fleet.operator.run("queue", "resume", "host", "gamma")
    assert (run.status, run.tags["multihost_docker/host_name"]) == ("SUCCESS", HOST)

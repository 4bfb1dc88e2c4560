"""Which ways are tried, what comes of it, and whose it is to open them."""

import socket
import subprocess

import pytest
from dagfleet.derive.ways import Way, ways
from dagfleet.fleet import parse_fleet
from dagfleet.probe.reach import State, script, unreached

from tests.unit.phases.conftest import FLEET
from tests.unit.probe.reports import report

SET_UP = report(record={"release": "0.1.0"})
NEW = report()


def test_only_the_ports_that_flows_use_are_tried() -> None:
    fleet = parse_fleet(FLEET, name="fleet.yml")
    assert [(way.host, way.title) for way in ways(fleet)] == [
        ("alpha", "beta:2376"),
        ("alpha", "beta:4443"),
        ("alpha", "delta:4443"),
        ("beta", "alpha:4443"),
        ("delta", "alpha:4443"),
    ]


def test_hosts_that_pull_have_to_reach_the_registries_that_images_name() -> None:
    text = FLEET.replace("docker: {images: push}", "").replace('"etl:1"', "registry.example.com:5000/etl:1")
    fleet = parse_fleet(text, name="fleet.yml")
    assert ("beta", "registry.example.com:5000") in [(way.host, way.title) for way in ways(fleet)]
    assert ("delta", "registry.example.com:5000") not in [(way.host, way.title) for way in ways(fleet)]


def test_a_listener_a_shut_port_and_an_unknown_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        shut = gone.getsockname()[1]
        gone.close()
        tried = [
            Way("alpha", None, "127.0.0.1", server.getsockname()[1]),
            Way("alpha", None, "127.0.0.1", shut),
            Way("alpha", None, "no-such-name.invalid", 443),
        ]
        said = subprocess.run(["sh", "-c", script(tried)], capture_output=True, text=True, check=True).stdout
    assert sorted(said.splitlines()) == ["0 open", "1 refused", "2 unknown"]


@pytest.mark.parametrize(
    ("alpha", "beta", "found"),
    [(SET_UP, SET_UP, True), (NEW, NEW, True), (SET_UP, NEW, True), (NEW, SET_UP, False)],
)
def test_silence_is_to_be_mended_unless_our_own_firewall_waits_for_its_apply(
    alpha: object, beta: object, found: bool
) -> None:
    way = Way("alpha", "beta", "10.0.1.2", 4443)
    findings = unreached({way: State.SILENT}, {"alpha": alpha, "beta": beta})  # type: ignore[dict-item]
    assert bool(findings) is found
    if found:
        assert findings[0].fact == "no answer comes from beta:4443 to alpha: packets are lost on the way"
        assert "TCP port 4443" in str(findings[0].mend)

"""A host comes, rests and leaves, one dies, in the end all go; conftest.py puts these tests last."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dagfleet.control.documents import RUN_EVENTS
from dagfleet.control.plane import JobSelector, RunState

from tests.e2e.deployed import NETWORK, ON_DEMO, DeployedFleet, Result, machine_state

NEW = "epsilon"
ADDRESS = f"10.89.{NETWORK}.15"
STARTED_SECONDS = 120
pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to take apart")


@pytest.fixture(scope="module")
def newcomer(fleet: DeployedFleet) -> frozenset[str]:
    """A fifth machine beside the fleet, not in its fleet.yml; returns what it has before Dagfleet comes."""
    file = fleet.operator.folder / "fleet.yml"
    wider = file.with_name("wider.yml")
    line = f"  {NEW}: {{address: {ADDRESS}, ssh: *ssh}}\n  delta:"
    wider.write_text(file.read_text().replace("  delta:", line, 1))
    up = fleet.operator.run("-f", "wider.yml", "lab", "up")
    assert up.code == 0, up.output + up.errors
    return machine_state(fleet, NEW)


def launched(fleet: DeployedFleet, partition: str) -> tuple[str, str, str]:
    """Launch a run and return its id, the host that has its container, and the container."""
    with fleet.plane() as plane:
        run_id = plane.launch(JobSelector(location="etl", job="daily_weather"), partition=partition)
        deadline = time.monotonic() + STARTED_SECONDS
        while not (host := plane.run(run_id).tags.get("multihost_docker/host_name")):
            assert time.monotonic() < deadline, plane.run(run_id)
            time.sleep(0.1)
    return run_id, host, f"dagster-run-{run_id[:8]}-1"


@contextmanager
def a_long_run(fleet: DeployedFleet, partition: str) -> Iterator[tuple[str, str]]:
    """A run that works as long as the block lasts: its container stands still meanwhile."""
    run_id, host, container = launched(fleet, partition)
    fleet.sh(host, f"for try in $(seq 100); do docker pause {container} && exit; sleep 0.1; done; exit 1")
    try:
        yield run_id, host
    finally:
        fleet.sh(host, f"docker unpause {container} 2>/dev/null || true")


def ended(fleet: DeployedFleet, run_id: str) -> RunState:
    with fleet.plane() as plane:
        return plane.finished(run_id, timeout=180)


def events_of(fleet: DeployedFleet, run_id: str) -> str:
    """What a run's own events say, where it did not end as it should."""
    with fleet.session() as session:
        events = session.query(RUN_EVENTS, {"runId": run_id})["logsForRun"].get("events", ())
    return "\n".join(event.get("message", "") for event in events)


def well(done: Result) -> Result:
    assert done.code == 0, done.output + done.errors
    return done


def test_a_host_is_added_without_a_change_on_others_and_without_dropping_a_run(
    fleet: DeployedFleet, newcomer: frozenset[str]
) -> None:
    assert newcomer
    file = fleet.operator.folder / "fleet.yml"
    before = file.read_text()
    well(fleet.operator.run("apply", "-y"))
    with a_long_run(fleet, "2015-01-01") as (run_id, _):
        added = well(fleet.operator.run("host", "add", NEW, "--address", ADDRESS, "--location", "etl", "-y"))
    assert ended(fleet, run_id).status == "SUCCESS", events_of(fleet, run_id)
    assert re.findall(r"(\w+) +as the last apply left it", added.output) == ["beta", "gamma", "delta"]
    release = re.search(r"release (\d+)", added.output)
    assert release, added.output
    after = file.read_text().splitlines()
    assert [line for line in before.splitlines() if line not in after] == ["    hosts: [beta, gamma]"]
    assert "# The practice fleet" in after[0]
    told = well(fleet.operator.run("history", "--json")).json[-1]
    assert told["number"] == int(release[1])
    assert set(told["hosts"]) == {"alpha", NEW}
    assert told["command"].startswith("dagfleet host add")


def test_a_drain_keeps_new_runs_away_and_waits_for_those_that_work(
    fleet: DeployedFleet, newcomer: frozenset[str]
) -> None:
    assert newcomer
    for other in ("beta", "gamma"):
        well(fleet.operator.run("queue", "pause", "host", other))
    try:
        with a_long_run(fleet, "2015-02-01") as (run_id, host):
            assert host == NEW, "the new host takes runs"
            for other in ("beta", "gamma"):
                well(fleet.operator.run("queue", "resume", "host", other))
            impatient = fleet.operator.run("host", "drain", NEW, "--timeout", "1s")
            assert impatient.code == 1, impatient.output + impatient.errors
            assert f"1 run still works on {NEW} after 1 s: {run_id[:8]} (daily_weather)" in impatient.errors
            assert launched(fleet, "2015-03-01")[1] != NEW
            shown = fleet.operator.run("status")
            assert re.search(rf"{NEW} .*draining, 1 run left \(by \S+ since", shown.output), shown.output
            drain = fleet.operator.start("host", "drain", NEW)
            time.sleep(5)
            assert drain.poll() is None, "it waits"
    finally:
        for other in ("beta", "gamma"):
            fleet.operator.run("queue", "resume", "host", other)
    output, errors = drain.communicate(timeout=180)
    assert drain.returncode == 0, output + errors
    assert f"{NEW} is empty, 1 run ended meanwhile" in output
    assert ended(fleet, run_id).status == "SUCCESS", events_of(fleet, run_id)
    assert re.search(rf"{NEW} .*drained \(by", fleet.operator.run("status").output)
    assert f"{NEW} gets runs again" in well(fleet.operator.run("host", "undrain", NEW)).output


def test_hosts_that_the_fleet_needs_are_refused_with_what_to_edit(fleet: DeployedFleet) -> None:
    for host, said in (("alpha", "control host"), ("delta", "only host of reporting"), ("zeta", "no host")):
        refused = fleet.operator.run("host", "rm", host, "-y")
        assert refused.code == 3, refused.output + refused.errors
        assert said in refused.errors
        assert "Nothing was touched." in refused.errors


def test_a_host_that_leaves_is_a_clean_machine(fleet: DeployedFleet, newcomer: frozenset[str]) -> None:
    left = well(fleet.operator.run("host", "rm", NEW, "-y"))
    assert "a clean machine again" in left.output
    now = machine_state(fleet, NEW)
    assert not now - newcomer, sorted(now - newcomer)
    assert not newcomer - now, sorted(newcomer - now)
    assert NEW not in (fleet.operator.folder / "fleet.yml").read_text()
    assert NEW not in fleet.sh(
        "alpha", "cat /var/lib/dagfleet/dagster_home/dagster.yaml /etc/haproxy/haproxy.cfg"
    )
    assert NEW not in well(fleet.operator.run("queue", "list")).output


def test_a_dead_host_is_taken_out_its_certificates_refused_and_its_runs_ended(fleet: DeployedFleet) -> None:
    alive = fleet.operator.run("host", "rm", "gamma", "--offline", "-y")
    assert alive.code == 1, alive.output + alive.errors
    assert "gamma answers, so it is not dead" in alive.errors
    serial = fleet.sh("gamma", "openssl x509 -noout -serial -in /etc/dagfleet/pki/mesh-client.pem").strip()
    well(fleet.operator.run("queue", "pause", "host", "beta"))
    try:
        run_id, host, _ = launched(fleet, "2015-04-01")
    finally:
        well(fleet.operator.run("queue", "resume", "host", "beta"))
    assert host == "gamma"
    fleet.machine("gamma").kill()
    gone = well(fleet.operator.run("host", "rm", "gamma", "--offline", "-y"))
    assert "its certificates are refused" in gone.output
    revoked = fleet.sh("alpha", "openssl crl -noout -text -in /etc/dagfleet/pki/mesh-ca.crl")
    assert serial.partition("=")[2] in revoked
    assert ended(fleet, run_id).status in {"CANCELED", "SUCCESS"}
    assert "gamma" not in (fleet.operator.folder / "fleet.yml").read_text()
    assert ended(fleet, launched(fleet, "2015-05-01")[0]).status == "SUCCESS"


def test_destroy_wants_the_fleets_name_and_leaves_nothing(fleet: DeployedFleet) -> None:
    for arguments in ([], ["--yes-destroy", "prod"]):
        refused = fleet.operator.run("destroy", *arguments)
        assert refused.code == 3, refused.output + refused.errors
    destroyed = well(fleet.operator.run("destroy", "--data", "--yes-destroy", fleet.operator.fleet_name))
    assert "is no more" in destroyed.output
    for host in ("alpha", "beta", "delta"):
        now = machine_state(fleet, host)
        assert not now - fleet.fresh[host], (host, sorted(now - fleet.fresh[host]))
        assert not fleet.fresh[host] - now, (host, sorted(fleet.fresh[host] - now))

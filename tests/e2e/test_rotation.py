"""Nobody notices a rotation: a fleet at work, all its certificates and both authorities replaced."""

import json
import os
import signal
import time

from tests.e2e.deployed import DeployedFleet
from tests.e2e.traffic import under_load


def killed_at(fleet: DeployedFleet, step: str) -> None:
    """Begin to rotate the mesh authority, and kill -9 the operator as soon as the journal names a step."""
    journal = fleet.operator.state / "pki" / "mesh" / "rotation.json"
    operator = fleet.operator.start("certs", "rotate-ca", "mesh")
    while step not in (journal.read_text() if journal.exists() else ""):
        assert operator.poll() is None, operator.communicate()
        time.sleep(0.02)
    os.killpg(operator.pid, signal.SIGKILL)
    operator.communicate()


def started(fleet: DeployedFleet) -> dict[str, str]:
    """Since when dockerd, and every container of the control plane and of locations, runs."""
    names = "docker ps --format '{{.Names}}' | grep ^dagfleet- | sort"
    script = (
        "systemctl show -P ActiveEnterTimestamp docker; "
        f"docker inspect -f '{{{{.Name}}}} {{{{.State.StartedAt}}}}' $({names})"
    )
    return {host: fleet.sh(host, script) for host in ("alpha", "beta", "gamma")}


def test_renewing_and_rotating_everything_fails_no_call_and_restarts_nothing(fleet: DeployedFleet) -> None:
    before = fleet.operator.run("certs", "list", "--json").json
    running = started(fleet)
    with under_load(fleet) as calls:
        for arguments in (["renew", "--all"], ["rotate-ca", "docker"]):
            done = fleet.operator.run("certs", *arguments)
            assert done.code == 0, done.output + done.errors
        killed_at(fleet, "new servers")
        status = fleet.operator.run("certs", "list", "--json").json
        assert [each["name"] for each in status["rotations"]] == ["new servers"]
        # The lease of the one who was killed runs out by itself.
        resumed = fleet.operator.run("certs", "rotate-ca", "mesh", "--wait", "2m")
        assert resumed.code == 0, resumed.output + resumed.errors
    counts = json.loads(calls.result(timeout=60))
    assert not {name: count["failed"] for name, count in counts.items() if count["failed"]}
    assert len(counts) == 8
    assert all(count["done"] > 20 for count in counts.values()), counts
    assert started(fleet) == running
    after = fleet.operator.run("certs", "list", "--json").json
    signers = {each["name"] for each in after["authorities"]}
    assert len(signers) == 2
    assert signers.isdisjoint(each["name"] for each in before["authorities"])
    assert {each["authority"] for each in after["certificates"]} == signers
    old = {each["fingerprint"] for each in before["certificates"]}
    assert old.isdisjoint(each["fingerprint"] for each in after["certificates"])
    assert all(each["deployed"] for each in after["certificates"])
    planned = fleet.operator.run("plan")
    assert planned.code == 0, planned.output


def test_each_host_says_in_its_journal_how_many_days_are_left(fleet: DeployedFleet) -> None:
    for host in fleet.ADDRESSES:
        fleet.sh(host, "systemctl is-active dagfleet-certificates.timer")
        said = fleet.sh(host, "journalctl -u dagfleet-certificates.service -o cat --no-pager")
        assert "mesh-server.pem has 89 days left" in said

"""Docker by dockerd's own TLS, by SSH and by the mesh: one small fleet goes from each to the next.

The mesh has a fleet of its own in the other tests; here it shows that nothing of the others stays.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import docker
import pytest
import yaml
from dagfleet.control.plane import JobSelector

from tests.e2e.deployed import ACCESS, ON_DEMO, DeployedFleet, Operator
from tests.e2e.pair import write_pair

pytestmark = pytest.mark.skipif(ON_DEMO or ACCESS != "mesh", reason="it has a fleet of its own")

NETWORK = 20
KEY = "/etc/dagfleet/docker-ssh/id_ed25519"
PING = r"printf 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n'"
# What tells each access from the others, on beta unless the name says otherwise, as a shell test.
TRACES = {
    "who listens on 2376": "ss -Hltnp 'sport = 2376' | grep -o 'haproxy\\|dockerd' | sort -u",
    "2376 in the firewall": "nft list table inet dagfleet | grep -c 'dport.*2376.*accept' || :",
    "its account": "getent passwd dagfleet-docker | cut -d : -f 1",
    "its key": "ls -d /etc/dagfleet/docker-account 2>/dev/null || :",
    "dockerd's drop-in": "ls /etc/systemd/system/docker.service.d/zz-dagfleet.conf 2>/dev/null || :",
    "certificates for Docker": "ls /etc/dagfleet/pki | grep -c docker || :",
    "its processes": "pgrep -c -u dagfleet-docker 2>/dev/null | grep -v '^0$' || :",
}
ON_ALPHA = {
    "the launcher's key": "ls /etc/dagfleet/docker-ssh/id_ed25519 2>/dev/null || :",
    "the launcher's certificate": "ls /etc/dagfleet/*/launcher.pem.key 2>/dev/null | wc -l",
}
SEEN = {
    "tls": [
        "dockerd",
        "2",
        "",
        "",
        "/etc/systemd/system/docker.service.d/zz-dagfleet.conf",
        "5",
        "",
        "",
        "2",
    ],
    "ssh": ["", "0", "dagfleet-docker", "/etc/dagfleet/docker-account", "", "0", None, KEY, "0"],
    "mesh": ["haproxy", "2", "", "", "", "5", "", "", "2"],
}


class SmallFleet(DeployedFleet):
    NAME: ClassVar = "e2e-access"
    ADDRESSES: ClassVar = {"alpha": f"10.89.{NETWORK}.11", "beta": f"10.89.{NETWORK}.12"}

    def write(self, access: str) -> None:
        """Have fleet.yml say how Docker is reached."""
        path = self.operator.folder / "fleet.yml"
        document = yaml.safe_load(path.read_text())
        document["docker"]["access"] = access
        path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def small(new_operator: Callable[[str, int], Operator], engine: docker.DockerClient) -> Iterator[SmallFleet]:
    operator = new_operator(SmallFleet.NAME, NETWORK)
    # Nobody else may try to log in, and the launcher still can.
    write_pair(operator, lambda firewall: firewall.update(ssh=firewall["operators"]))
    operator.run("lab", "down")
    try:
        up = operator.run("lab", "up")
        assert up.code == 0, up.output + up.errors
        yield SmallFleet(operator=operator, engine=engine)
    finally:
        operator.run("lab", "down")


def run_ends_well(small: SmallFleet) -> bool:
    """Launch a run, and tell whether it succeeded in a container on beta."""
    with small.plane() as plane:
        run_id = plane.launch(JobSelector(location="etl", job="daily_weather"), partition="2012-01-01")
        run = plane.finished(run_id, timeout=180)
    return run.status == "SUCCESS" and bool(small.containers("beta", f"dagster/run_id={run_id}"))


@pytest.mark.parametrize("access", ["tls", "ssh", "mesh"])
def test_runs_start_by_each_access_and_nothing_of_the_others_is_left(small: SmallFleet, access: str) -> None:
    small.write(access)
    applied = small.operator.run("apply", "-y")
    assert applied.code == 0, applied.output + applied.errors
    assert run_ends_well(small)

    traces = [small.sh("beta", script).strip() for script in TRACES.values()]
    traces += [small.sh("alpha", script).strip() for script in ON_ALPHA.values()]
    seen = {
        what: got
        for what, got, wanted in zip([*TRACES, *ON_ALPHA], traces, SEEN[access], strict=True)
        if wanted is not None and got != wanted
    }
    assert seen == {}

    well = small.operator.run("doctor")
    assert well.code == 0, well.output + well.errors
    again = small.operator.run("apply", "-y")
    assert again.code == 0, again.output + again.errors
    assert again.output.count(" 0 changed") == 2, again.output
    if access == "ssh":
        the_key_opens_docker_and_nothing_else(small)
        a_revoked_key_opens_nothing(small)


def the_key_opens_docker_and_nothing_else(small: SmallFleet) -> None:
    def ssh(*options: str, command: str = "docker system dial-stdio") -> str:
        words = f"-i {KEY} -o BatchMode=yes -o UserKnownHostsFile=/etc/dagfleet/docker-ssh/known_hosts"
        return (
            f"timeout 20 ssh {words} {' '.join(options)} dagfleet-docker@{small.ADDRESSES['beta']} {command}"
        )

    assert " 200 OK" in small.sh("alpha", f"{PING} | {ssh()}")
    # Whatever is asked for, it is Docker that answers.
    assert " 200 OK" in small.sh("alpha", f"{PING} | {ssh(command='id')}")
    forwarding = ssh("-N", "-L", "9999:127.0.0.1:22", command="")
    connect = "import socket; print(socket.create_connection(('127.0.0.1', 9999)).recv(3))"
    refused = small.sh(
        "alpha", f'{forwarding} 2>&1 & sleep 3; python3 -c "{connect}" 2>&1; kill %1 2>/dev/null; wait; :'
    )
    assert "administratively prohibited" in refused
    assert "SSH" not in refused
    # From anywhere but the control host it opens nothing.
    key = small.operator.folder / "stolen"
    key.write_text(small.sh("alpha", f"cat {KEY}"))
    Path(key).chmod(0o600)
    known = f"UserKnownHostsFile={small.operator.state}/known_hosts"
    elsewhere = subprocess.run(
        ["ssh", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", known,
         f"dagfleet-docker@{small.ADDRESSES['beta']}", "id"],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert elsewhere.returncode == 255, elsewhere
    assert "Permission denied" in elsewhere.stderr
    assert (
        small.sh("beta", "stat -c %a:%U /etc/dagfleet/docker-account/.ssh/authorized_keys").strip()
        == "640:root"
    )
    assert small.sh("alpha", f"stat -c %a:%U {KEY}").strip() == "600:root"


def a_revoked_key_opens_nothing(small: SmallFleet) -> None:
    old = small.sh("alpha", f"cat {KEY}")
    revoked = small.operator.run("certs", "revoke", "launcher", "--wait", "1m")
    assert revoked.code == 0, revoked.output + revoked.errors
    assert "the old key opens no Docker" in revoked.output
    small.sh("alpha", f"umask 077; cat >/run/old-key <<'E'\n{old}\nE")
    try:
        words = "-o BatchMode=yes -o UserKnownHostsFile=/etc/dagfleet/docker-ssh/known_hosts"
        said = small.sh(
            "alpha", f"ssh -i /run/old-key {words} dagfleet-docker@{small.ADDRESSES['beta']} id 2>&1 || :"
        )
    finally:
        small.sh("alpha", "rm /run/old-key")
    assert "Permission denied" in said
    assert run_ends_well(small)

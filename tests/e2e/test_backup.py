"""The control host's disk dies; a backup on a new machine is the same fleet again."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from dagfleet.control.plane import JobSelector

from tests.e2e.deployed import NETWORK, ON_DEMO, DeployedFleet, Operator, Result, own_image
from tests.e2e.pair import write_pair

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to take apart")
BACKUP_NETWORK = NETWORK + 2 if os.environ.get("E2E_NETWORK") else 52
# What the daemon writes all the time says nothing about a fleet.
ROWS = """
for table in runs event_logs run_tags jobs instigators job_ticks asset_keys snapshots; do
    echo "SELECT '$table ' || t::text FROM $table t;"
done | runuser -u postgres -- psql --no-psqlrc -Atp 6431 -v ON_ERROR_STOP=1 dagster
"""


class Kept(DeployedFleet):
    NAME = f"e2e-backup-{BACKUP_NETWORK}"
    ADDRESSES = {"alpha": f"10.89.{BACKUP_NETWORK}.11", "beta": f"10.89.{BACKUP_NETWORK}.12"}  # noqa: RUF012

    def rows(self) -> set[str]:
        """Every row that a run or a schedule has left."""
        return set(self.sh("alpha", f"cd / && {ROWS}").splitlines())

    def launch(self, partition: str) -> str:
        with self.plane() as plane:
            return plane.launch(JobSelector(location="etl", job="daily_weather"), partition=partition)

    def status(self, run_id: str) -> str:
        with self.plane() as plane:
            return plane.run(run_id).status

    def ends(self, run_id: str) -> str:
        with self.plane() as plane:
            return plane.finished(run_id, timeout=180).status


def well(done: Result) -> Result:
    assert done.code == 0, done.output + done.errors
    return done


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's key of age's; no host ever has it."""
    path = tmp_path_factory.mktemp("age") / "key.txt"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def kept(
    new_operator: Callable[[str, int], Operator], engine: docker.DockerClient, key: Path
) -> Iterator[Kept]:
    """Two machines, applied, with a schedule of backups for that key."""
    operator = new_operator(Kept.NAME, BACKUP_NETWORK)
    write_pair(operator)
    recipient = subprocess.run(
        ["age-keygen", "-y", key], check=True, capture_output=True, text=True
    ).stdout.strip()
    with (operator.folder / "fleet.yml").open("a") as file:
        file.write(f'backup: {{schedule: "03:15", keep: 2, recipient: {recipient}}}\n')
    operator.run("lab", "down")
    try:
        well(operator.run("lab", "up"))
        well(operator.run("apply", "-y"))
        fleet = Kept(operator=operator, engine=engine)
        yield fleet
        # A machine in which something stands still cannot be removed.
        fleet.sh("beta", "docker ps -q --filter status=paused | xargs -r docker unpause || true")
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
            engine.images.remove(own_image(Kept.NAME))


def test_the_timer_makes_backups_that_only_the_keys_owner_can_try_out(kept: Kept, key: Path) -> None:
    assert kept.sh("alpha", "systemctl is-active dagfleet-backup.timer").strip() == "active"
    for _ in range(3):
        kept.sh("alpha", "systemctl start dagfleet-backup.service")
    listed = well(kept.operator.run("backup", "list", "--json")).json
    assert [each["encrypted"] for each in listed] == [True, True], "the oldest is deleted"
    refused = kept.operator.run("backup", "verify")
    assert refused.code == 3
    assert "is encrypted" in refused.errors
    verified = well(kept.operator.run("backup", "verify", "--identity", str(key)))
    assert f"{listed[-1]['name']} is good" in verified.output
    assert "as the last apply left it" in well(kept.operator.run("apply", "-y")).output, (
        "nothing is left over"
    )


def test_a_new_control_host_becomes_the_same_fleet_and_no_run_stays_in_flight(kept: Kept, key: Path) -> None:
    done = kept.launch("2015-01-01")
    assert kept.ends(done) == "SUCCESS"
    working = kept.launch("2015-02-01")
    container = f"dagster-run-{working[:8]}-1"
    kept.sh("beta", f"for try in $(seq 600); do docker pause {container} && exit; sleep 0.1; done; exit 1")
    well(kept.operator.run("queue", "pause", "host", "beta"))
    waiting = kept.launch("2015-03-01")
    releases = well(kept.operator.run("history", "--json")).json

    before = kept.rows()
    copies = kept.operator.folder / "copies"
    made = well(kept.operator.run("backup", "create", "--to", str(copies), "--json")).json
    assert made["runs"] == 3
    file = Path(made["copy"])
    assert file.stat().st_size == made["bytes"]
    refused = kept.operator.run("backup", "restore", str(file), "--identity", str(key), "-y")
    assert refused.code == 1
    assert "database has 3 runs already" in refused.errors
    assert "Nothing was touched." in refused.errors

    kept.machine("alpha").remove(force=True, v=True)
    well(kept.operator.run("lab", "up"))
    assert not kept.sh("alpha", "ls /etc/dagfleet 2>/dev/null || true")
    restored = well(kept.operator.run("backup", "restore", str(file), "--identity", str(key), "-y"))

    assert "1 were in progress and failed, 1 waited and were canceled" in restored.output, restored.output
    assert [kept.status(each) for each in (done, working, waiting)] == ["SUCCESS", "FAILURE", "CANCELED"]
    after = kept.rows()
    lost = {row for row in before - after if not row.startswith("runs ")}
    assert not lost, sorted(lost)[:5]
    changed = {row for row in before - after if row.startswith("runs ")}
    assert len(changed) == 2, "the two runs that were in flight have another status"
    assert container not in kept.sh("beta", "docker ps --format '{{.Names}}'")
    history = well(kept.operator.run("history", "--json")).json
    assert history[: len(releases)] == releases
    assert history[-1]["number"] == releases[-1]["number"] + 1
    assert history[-1]["command"].startswith("dagfleet backup restore")
    assert "host beta" in re.sub(r"\s+", " ", well(kept.operator.run("queue", "list")).output)
    well(kept.operator.run("queue", "resume", "host", "beta"))
    assert kept.ends(kept.launch("2015-04-01")) == "SUCCESS"


def test_afterwards_nothing_is_left_to_do_and_no_key_is_on_the_host(kept: Kept, key: Path) -> None:
    applied = well(kept.operator.run("apply", "-y"))
    assert len(re.findall("as the last apply left it", applied.output)) == 2, applied.output
    assert kept.sh("alpha", "systemctl is-active dagfleet-backup.timer").strip() == "active"
    secret = next(line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
    kept.sh(
        "alpha", f"! grep -rqsF {secret} /etc /var/lib/dagfleet /var/backups /var/lib/postgresql /root /tmp"
    )
    assert not kept.sh("alpha", "find /var/backups/dagfleet -name '.unfinished*'")


def test_destroy_leaves_the_backups_to_root(kept: Kept) -> None:
    names = [each["name"] for each in json.loads(well(kept.operator.run("backup", "list", "--json")).output)]
    assert names
    hashes = kept.sh("alpha", "sha256sum /var/backups/dagfleet/*")
    destroyed = well(kept.operator.run("destroy", "--data", "--yes-destroy", kept.operator.fleet_name))
    assert "Backups stay" in destroyed.output
    assert kept.sh("alpha", "sha256sum /var/backups/dagfleet/*") == hashes
    assert set(kept.sh("alpha", "stat -c '%U %a' /var/backups/dagfleet/*").splitlines()) == {"root 600"}

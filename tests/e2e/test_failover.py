"""The control host dies with runs in flight, its standby takes over; when it is back it does no harm."""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator

import docker
import pytest
import yaml
from dagfleet.control.login import Login
from dagfleet.control.plane import JobSelector, Plane, RunState
from dagfleet.control.session import Endpoint, Session, WebError

from tests.e2e.deployed import NETWORK, ON_DEMO, DeployedFleet, Operator, Result, own_image
from tests.e2e.pair import says, start
from tests.e2e.test_reboot import BACK_SECONDS, eventually

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to take apart")
FAILOVER_NETWORK = NETWORK + 3 if os.environ.get("E2E_NETWORK") else 53
COMMENT = "# Who stands by is written here."
DOOR = """
python3 - <<'END'
import socket, ssl
context = ssl.create_default_context(cafile="/etc/dagfleet/pki/mesh-ca.crt")
context.load_cert_chain("/etc/dagfleet/pki/{identity}.pem", "/etc/dagfleet/pki/{identity}.pem.key")
context.set_alpn_protocols(["{protocol}"])
try:
    plain = socket.create_connection(("{address}", 4443), timeout=10)
    with context.wrap_socket(plain, server_hostname="{host}") as connection:
        connection.sendall({words})
        print("open" if connection.recv(1) else "shut")
except OSError as error:
    print("refused" if "REVOKED" in str(error) else "shut")
END
"""
SSL_REQUEST = r'b"\0\0\0\x08\x04\xd2\x16\x2f"'


class Doubled(DeployedFleet):
    NAME = f"e2e-failover-{FAILOVER_NETWORK}"
    ADDRESSES = {  # noqa: RUF012
        host: f"10.89.{FAILOVER_NETWORK}.{last}"
        for last, host in enumerate(("alpha", "beta", "gamma"), start=11)
    }

    @contextlib.contextmanager
    def plane_on(self, host: str) -> Iterator[Plane]:
        """The control plane, where it is or is thought to be."""
        endpoint = Endpoint(
            address=self.ADDRESSES[host],
            port=443,
            hostname="dagster.lab.test",
            authority=self.operator.state / "pki" / "mesh" / "ca.crt",
        )
        opened = Session(endpoint, Login(*self.password()))
        try:
            yield Plane(opened)
        finally:
            opened.close()

    def door(
        self, of: str, seen_from: str, protocol: str = "db.dagfleet", identity: str = "mesh-client"
    ) -> str:
        """How a host's mesh answers another's certificate: open, shut or refused."""
        words = SSL_REQUEST if protocol == "db.dagfleet" else 'b"catalogue\\n"'
        script = DOOR.format(
            identity=identity, protocol=protocol, address=self.ADDRESSES[of], host=of, words=words
        )
        return self.sh(seen_from, script).strip()

    def launch(self, control: str, partition: str, *, on: str, still: bool = False) -> str:
        """Launch a run on one host of the pool; one that is to stand `still` is stopped in its midst."""
        other = next(host for host in ("beta", "gamma") if host != on)
        well(self.operator.run("queue", "pause", "host", other))
        try:
            with self.plane_on(control) as plane:
                run_id = plane.launch(JobSelector(location="etl", job="daily_weather"), partition=partition)
                if still:
                    # One that has not started yet would be given up after a while.
                    deadline = time.monotonic() + BACK_SECONDS
                    while plane.run(run_id).status != "STARTED":
                        assert time.monotonic() < deadline
                        time.sleep(0.1)
                    self.sh(on, f"docker pause dagster-run-{run_id[:8]}-1")
                eventually(lambda: plane.run(run_id).tags.get("multihost_docker/host_name") == on)
        finally:
            well(self.operator.run("queue", "resume", "host", other))
        return run_id

    def ended(self, control: str, run_id: str) -> RunState:
        with self.plane_on(control) as plane:
            return plane.finished(run_id, timeout=180)

    def standby(self, host: str) -> dict[str, object] | None:
        """What `status` says of the standby."""
        done = self.operator.run("status", "--json")
        return dict(done.json["hosts"][host]["standby"] or {})


def well(done: Result) -> Result:
    assert done.code == 0, done.output + done.errors
    return done


@pytest.fixture(scope="module")
def doubled(new_operator: Callable[[str, int], Operator], engine: docker.DockerClient) -> Iterator[Doubled]:
    """A control host, its standby, which works too, and a host that only works."""
    operator = new_operator(Doubled.NAME, FAILOVER_NETWORK)
    path = operator.folder / "fleet.yml"
    document = yaml.safe_load(path.read_text())
    del document["hosts"]["delta"], document["locations"]["reporting"]
    document["control"] |= {"standby": "beta"}
    document["backup"] = {"schedule": "03:15"}
    text = yaml.safe_dump(document, sort_keys=False)
    path.write_text(text.replace("  standby: beta\n", f"  {COMMENT}\n  standby: beta\n"))
    operator.run("lab", "down")
    try:
        well(operator.run("lab", "up"))
        well(operator.run("apply", "-y"))
        yield Doubled(operator=operator, engine=engine)
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
            engine.images.remove(own_image(Doubled.NAME))


def test_the_standby_has_what_it_needs_and_its_doors_are_shut(doubled: Doubled) -> None:
    assert doubled.door("alpha", "gamma") == "open"
    assert doubled.door("beta", "gamma") == "shut"
    for leaf in ("gateway", "launcher", "web"):
        theirs, ours = (
            doubled.sh(host, f"openssl x509 -noout -pubkey -in /etc/dagfleet/pki/{leaf}.pem")
            for host in ("alpha", "beta")
        )
        assert theirs != ours, f"{leaf} has a key of its own"
    assert "dagfleet/control-plane" in doubled.sh("beta", "docker images --format '{{.Repository}}'")
    assert "dagfleet-" not in doubled.sh(
        "beta", "docker ps -a --format '{{.Names}}' | grep -v location || true"
    )
    assert not doubled.sh("beta", "find / -xdev -name ca.key -o -xdev -name 'ca.key.*'")
    planned = doubled.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors


def test_backups_reach_the_standby_by_themselves_and_nobody_else(doubled: Doubled) -> None:
    made = well(doubled.operator.run("backup", "create", "--json")).json
    eventually(lambda: (doubled.standby("beta") or {}).get("newest"))
    newest = doubled.standby("beta")["newest"]
    assert newest["name"] == made["name"]
    name = f"/var/backups/dagfleet/{made['name']}"
    assert doubled.sh("beta", f"sha256sum {name}") == doubled.sh("alpha", f"sha256sum {name}")
    assert doubled.sh("beta", f"stat -c '%U %a' {name}").strip() == "postgres 600"
    assert doubled.door("alpha", "beta", "backups.dagfleet") == "open"
    assert doubled.door("alpha", "gamma", "backups.dagfleet") == "shut"
    assert doubled.door("alpha", "beta", "backups.dagfleet", "gateway") == "shut"
    assert "newest backup made" in well(doubled.operator.run("status")).output
    assert doubled.operator.run("doctor").code == 0


def test_a_control_host_that_answers_is_not_lost(doubled: Doubled) -> None:
    refused = doubled.operator.run("failover", "-y")
    assert refused.code == 1
    assert "alpha answers, so the control plane is not lost" in refused.errors
    assert not (doubled.operator.state / "failover.json").exists()


@pytest.fixture(scope="module")
def taken_over(doubled: Doubled) -> dict[str, str]:
    """Runs by what they were at when the control host died; beta is the control host now."""
    runs = {"done": doubled.launch("alpha", "2015-01-01", on="gamma")}
    assert doubled.ended("alpha", runs["done"]).status == "SUCCESS"
    runs["working"] = doubled.launch("alpha", "2015-02-01", on="beta", still=True)
    made = well(doubled.operator.run("backup", "create", "--json")).json
    runs["later"] = doubled.launch("alpha", "2015-03-01", on="gamma")
    assert doubled.ended("alpha", runs["later"]).status == "SUCCESS"
    eventually(lambda: doubled.standby("beta")["newest"]["name"] == made["name"])
    doubled.machine("alpha").kill()
    # The operator does not reach this host: what it has to do with a failover, it does by itself.
    doubled.sh("gamma", "systemctl stop ssh.socket ssh.service")

    refused = doubled.operator.run("failover")
    assert refused.code == 3, refused.output + refused.errors
    assert "nobody is here to be asked" in refused.errors
    assert re.search(rf"beta takes over from {made['name']}", refused.output)
    assert re.search(r"lost .*in the last \d", refused.output)
    assert "gamma does not answer" in refused.output

    killed = start(doubled, "failover", "-y")
    killed.until(says("restore .*control plane stopped"))
    killed.kill()
    eventually(lambda: not killed.orphans())
    other = doubled.operator.run("apply", "-y")
    assert other.code == 3
    assert "a failover from alpha to beta is half-way" in other.errors
    finished = doubled.operator.run("failover", "-y", "--wait", "2m")
    assert finished.code == 5, finished.output + finished.errors
    assert "gamma stopped at" in finished.errors, "it is told that one host stayed behind"
    assert re.search(r"next .*let dagster.lab.test mean", finished.output)
    assert not (doubled.operator.state / "failover.json").exists()
    return runs


def test_every_run_has_an_end_and_what_came_after_the_backup_is_not_there(
    doubled: Doubled, taken_over: dict[str, str]
) -> None:
    with doubled.plane_on("beta") as plane:
        assert plane.run(taken_over["done"]).status == "SUCCESS"
        assert plane.run(taken_over["working"]).status == "FAILURE"
        with pytest.raises(WebError):
            plane.run(taken_over["later"])
    container = f"dagster-run-{taken_over['working'][:8]}-1"
    assert container not in doubled.sh("beta", "docker ps --format '{{.Names}}'")


def test_a_host_that_heard_of_nothing_serves_the_new_control_host(
    doubled: Doubled, taken_over: dict[str, str]
) -> None:
    assert taken_over
    assert "alpha" in doubled.sh("gamma", "grep -A20 '^backend db' /etc/haproxy/haproxy.cfg"), "as it was"
    state = doubled.ended("beta", doubled.launch("beta", "2015-04-01", on="gamma"))
    assert (state.status, state.tags["multihost_docker/host_name"]) == ("SUCCESS", "gamma")


def test_fleet_yml_says_so_and_keeps_its_comments(doubled: Doubled, taken_over: dict[str, str]) -> None:
    assert taken_over
    text = (doubled.operator.folder / "fleet.yml").read_text()
    control = yaml.safe_load(text)["control"]
    assert control["host"] == "beta"
    assert "standby" not in control
    assert COMMENT in text
    history = well(doubled.operator.run("history", "--json")).json
    assert [each["number"] for each in history] == sorted({each["number"] for each in history})
    assert history[-1]["command"].startswith("dagfleet failover")


def test_the_dead_control_host_does_no_harm_when_it_is_back(
    doubled: Doubled, taken_over: dict[str, str]
) -> None:
    assert taken_over
    doubled.sh("gamma", "systemctl start ssh.socket ssh.service")
    well(doubled.operator.run("apply", "--limit", "beta", "--limit", "gamma", "-y"))
    doubled.machine("alpha").start()
    eventually(lambda: doubled.sh("alpha", "cat /var/lib/dagfleet/deposed") == "")
    eventually(lambda: not doubled.sh("alpha", "docker ps -q --filter name=^/dagfleet-daemon"))
    assert doubled.sh("alpha", "systemctl is-active pgbouncer || true").strip() != "active"
    for protocol, of in (("db.dagfleet", "beta"), ("etl.grpc.dagfleet", "gamma")):
        identity = "mesh-client" if of == "beta" else "gateway"
        assert doubled.door(of, "alpha", protocol, identity) in ("refused", "shut")
    assert doubled.door("beta", "alpha") == "refused", "by its certificate, not by its address"
    state = doubled.ended("beta", doubled.launch("beta", "2015-05-01", on="beta"))
    assert state.status == "SUCCESS"


def test_an_apply_makes_an_ordinary_host_of_it(doubled: Doubled, taken_over: dict[str, str]) -> None:
    assert taken_over
    well(doubled.operator.run("apply", "-y"))
    assert not doubled.sh("alpha", "ls /etc/dagfleet/pki | grep -E 'gateway|launcher|web' || true")
    assert not doubled.sh("alpha", "docker ps -aq --filter name=^/dagfleet-web")
    assert "active" not in doubled.sh("alpha", "systemctl is-active pgbouncer 'postgresql@*' || true").split()
    assert doubled.door("beta", "alpha") == "open"
    assert doubled.operator.run("plan").code == 0
    assert doubled.operator.run("doctor").code == 0


REPLAYED = "cd / && runuser -u postgres -- psql --no-psqlrc -Atp 6431 -c '{}' dagster"


@pytest.fixture(scope="module")
def followed(doubled: Doubled, taken_over: dict[str, str]) -> str:
    """The former control host stands by for the new one, and its PostgreSQL follows."""
    assert taken_over
    path = doubled.operator.folder / "fleet.yml"
    text = path.read_text()
    path.write_text(
        text.replace("  host: beta\n", "  host: beta\n  standby: alpha\n  replication: streaming\n")
    )
    applied = well(doubled.operator.run("apply", "-y")).output
    assert doubled.operator.run("plan").code == 0
    return applied


def test_the_former_control_host_can_follow_the_new_one(doubled: Doubled, followed: str) -> None:
    assert "alpha" in followed
    assert doubled.sh("alpha", REPLAYED.format("select pg_is_in_recovery()")).strip() == "t"
    eventually(lambda: "copy of PostgreSQL is" in doubled.operator.run("status").output)
    assert doubled.door("alpha", "gamma") == "shut"
    assert doubled.operator.run("doctor").code == 0


def test_runs_in_flight_go_on_when_it_takes_over(doubled: Doubled, followed: str) -> None:
    assert followed
    working = doubled.launch("beta", "2015-06-01", on="gamma", still=True)
    last = doubled.launch("beta", "2015-07-01", on="beta")
    assert doubled.ended("beta", last).status == "SUCCESS"
    heard = REPLAYED.format("copy runs (run_id, status) to stdout")
    eventually(lambda: f"{last}\tSUCCESS" in doubled.sh("alpha", heard))
    doubled.machine("beta").kill()
    finished = well(doubled.operator.run("failover", "-y"))
    assert "alpha takes over from its copy of PostgreSQL" in finished.output
    assert re.search(r"lost .*what beta wrote after \d{4}-\d\d-\d\d", finished.output)
    with doubled.plane_on("alpha") as plane:
        assert plane.run(last).status == "SUCCESS", "no backup was made since"
        assert plane.run(working).status == "STARTED"
    doubled.sh("gamma", f"docker unpause dagster-run-{working[:8]}-1")
    assert doubled.ended("alpha", working).status == "SUCCESS"
    assert doubled.ended("alpha", doubled.launch("alpha", "2015-08-01", on="gamma")).status == "SUCCESS"

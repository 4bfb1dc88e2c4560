"""CI pushes to the fleet's own registry, hosts pull from it by their certificates, and can do without it."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from dagfleet.control.plane import JobSelector

from tests.e2e.deployed import NETWORK, ON_DEMO, DeployedFleet, Operator, Result, machine_state, own_image
from tests.e2e.pair import write_pair

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet has no registry")
SHOP_NETWORK = NETWORK + 3 if os.environ.get("E2E_NETWORK") else 53
NAME = "dagster.lab.test:5000"
SECTION = "registry: {users: secret://registry_users}\n"
UNIT = "dagfleet-registry.service"
ASK = f"""
import http.client, ssl, sys
context = ssl.create_default_context(cafile="/etc/dagfleet/pki/mesh-ca.crt")
context.load_cert_chain(sys.argv[1], sys.argv[1] + ".key")
connection = http.client.HTTPSConnection("{NAME}", context=context, timeout=30)
try:
    connection.request("GET", sys.argv[2])
    print(connection.getresponse().status)
except OSError as error:
    print(error)
"""
IMAGES = "/var/lib/dagfleet-registry/docker/registry/v2/repositories"


class Shop(DeployedFleet):
    NAME = f"e2e-registry-{SHOP_NETWORK}"
    ADDRESSES = {"alpha": f"10.89.{SHOP_NETWORK}.11", "beta": f"10.89.{SHOP_NETWORK}.12"}  # noqa: RUF012

    def serving(self) -> list[str]:
        """The code servers of the location, by image."""
        return self.sh(
            "beta", "docker ps --filter label=dagfleet.location=etl --format '{{.Image}}'"
        ).splitlines()

    def answer(self, host: str, certificate: str, path: str) -> str:
        """The status that a certificate gets on a host, or why TLS refuses it."""
        return self.sh(host, f"python3 -c {shlex.quote(ASK)} {certificate} {path}").strip()

    def run_succeeds(self, partition: str) -> str:
        """Launch a run; return the image that its container was made of."""
        with self.plane() as plane:
            run_id = plane.launch(JobSelector("etl", "daily_weather"), partition=partition)
            assert plane.finished(run_id, timeout=240).status == "SUCCESS"
        names = f"docker ps --all --filter name=dagster-run-{run_id[:8]} --format '{{{{.Image}}}}'"
        return self.sh("beta", names).strip()


class Ci:
    """A machine outside of the fleet, by this machine's Docker: what docs/registry.md tells CI to do."""

    def __init__(self, shop: Shop, engine: docker.DockerClient, home: Path) -> None:
        self.shop, self.engine, self.home = shop, engine, home
        # By its address, for this machine has no name service of its own to teach.
        self.registry = f"{shop.ADDRESSES['alpha']}:5000"
        self.trust = Path("/etc/docker/certs.d") / self.registry

    def docker(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "DOCKER_CONFIG": str(self.home)}
        return subprocess.run(
            ["docker", *arguments], input=stdin, env=environment, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    def login(self) -> "subprocess.CompletedProcess[str]":
        secret = (self.shop.operator.state / "secrets" / "registry_users").read_text().strip()
        user, _, password = secret.partition(":")
        return self.docker("login", self.registry, "--username", user, "--password-stdin", stdin=password)

    def build(self, tag: str) -> str:
        """Build another version of the location; return its name for the fleet."""
        folder = self.home / f"etl-{tag}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {own_image(self.shop.NAME)}\nLABEL version={tag}\n")
        self.engine.images.build(path=str(folder), tag=f"{self.registry}/etl:{tag}", rm=True)
        return f"{NAME}/etl:{tag}"

    def push(self, tag: str) -> "subprocess.CompletedProcess[str]":
        return self.docker("push", f"{self.registry}/etl:{tag}")


def well(done: Result) -> Result:
    assert done.code == 0, done.output + done.errors
    return done


@pytest.fixture(scope="module")
def shop(new_operator: Callable[[str, int], Operator], engine: docker.DockerClient) -> Iterator[Shop]:
    """Two machines, applied, with a registry; other images come from this machine's Docker."""
    operator = new_operator(Shop.NAME, SHOP_NETWORK)
    write_pair(operator)
    path = operator.folder / "fleet.yml"
    text = path.read_text() + SECTION
    users = "secrets:\n  registry_users: {generated: {users: [ci]}}\n"
    path.write_text(text.replace("secrets:\n", users, 1))
    operator.run("lab", "down")
    try:
        well(operator.run("lab", "up"))
        fleet = Shop(operator=operator, engine=engine)
        fleet.fresh.update({host: machine_state(fleet, host) for host in fleet.ADDRESSES})
        well(operator.run("apply", "-y"))
        yield fleet
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
            engine.images.remove(own_image(Shop.NAME), force=True)


@pytest.fixture(scope="module")
def ci(shop: Shop, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ci]:
    machine = Ci(shop, engine, tmp_path_factory.mktemp("ci"))
    machine.trust.mkdir(parents=True)
    try:
        shutil.copy(shop.operator.state / "pki" / "mesh" / "ca.crt", machine.trust / "ca.crt")
        yield machine
    finally:
        shutil.rmtree(machine.trust)
        with contextlib.suppress(OSError):
            machine.trust.parent.rmdir()
        for image in engine.images.list(name=f"{machine.registry}/etl"):
            engine.images.remove(image.id, force=True)


def test_who_did_not_log_in_pushes_nothing_and_pulls_nothing(shop: Shop, ci: Ci) -> None:
    ci.build("2")
    refused = ci.push("2")
    assert refused.returncode != 0
    assert re.search("unauthorized|no basic auth credentials", refused.stderr + refused.stdout)
    assert ci.docker("pull", f"{ci.registry}/etl:2").returncode != 0
    assert not shop.sh("alpha", f"ls {IMAGES} 2>/dev/null || true")


def test_ci_pushes_and_a_deploy_pulls_by_the_hosts_certificate(shop: Shop, ci: Ci) -> None:
    done = ci.login()
    assert done.returncode == 0, done.stderr
    pushed = ci.push("2")
    assert pushed.returncode == 0, pushed.stderr
    assert NAME not in shop.sh("beta", "docker images --format '{{.Repository}}'")
    deployed = well(shop.operator.run("deploy", "etl", "--image", f"{NAME}/etl:2"))
    assert f"beta has {NAME}/etl:2" in deployed.output
    assert shop.serving() == [f"{NAME}/etl:2"]
    assert shop.run_succeeds("2015-01-01") == f"{NAME}/etl:2"
    assert not shop.sh("beta", "cat /root/.docker/config.json 2>/dev/null || true"), "no password is there"
    planned = shop.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors


def test_a_host_cannot_push_what_it_pulled(shop: Shop, ci: Ci) -> None:
    assert ci
    said = shop.sh("beta", f"docker tag {NAME}/etl:2 {NAME}/etl:3; docker push {NAME}/etl:3 2>&1 || true")
    shop.sh("beta", f"docker rmi {NAME}/etl:3")
    assert re.search("unauthorized|no basic auth credentials", said), said
    assert shop.sh("alpha", f"ls {IMAGES}/etl/_manifests/tags").split() == ["2"]


def test_an_image_that_nobody_pushed_leaves_everything_as_it_was(shop: Shop, ci: Ci) -> None:
    assert ci
    failed = shop.operator.run("deploy", "etl", "--image", f"{NAME}/etl:4711")
    assert failed.code == 1, failed.output
    assert "not found" in failed.errors or "manifest unknown" in failed.errors, failed.errors
    assert shop.serving() == [f"{NAME}/etl:2"]
    assert f"image: {NAME}/etl:2" in (shop.operator.folder / "fleet.yml").read_text()


def test_without_the_registry_a_rollback_and_runs_go_on_and_doctor_names_it(shop: Shop, ci: Ci) -> None:
    assert ci
    assert "All is well" in well(shop.operator.run("doctor")).output
    assert f"ok {NAME}" in re.sub(" +", " ", well(shop.operator.run("status")).output)
    shop.sh("alpha", f"systemctl stop {UNIT}")
    try:
        well(shop.operator.run("rollback", "etl"))
        assert shop.serving() == [own_image(Shop.NAME)]
        well(shop.operator.run("rollback", "etl"))
        assert shop.serving() == [f"{NAME}/etl:2"]
        assert shop.run_succeeds("2015-02-01") == f"{NAME}/etl:2"
        told = shop.operator.run("doctor")
        assert told.code == 1, told.output + told.errors
        assert "cannot pull from the fleet's registry; the images that it has go on working." in told.output
        assert "the unit is inactive" in told.output
        assert f"start it on alpha: systemctl restart {UNIT}" in told.output
        shown = shop.operator.run("status")
        assert shown.code == 1
        assert f"{UNIT} is inactive" in shown.output
        # What heals it.
        well(shop.operator.run("apply", "-y"))
    finally:
        shop.sh("alpha", f"systemctl start {UNIT}")
    assert "All is well" in well(shop.operator.run("doctor")).output


def test_a_host_pulls_with_its_new_certificate_when_the_old_one_was_revoked(shop: Shop, ci: Ci) -> None:
    ci.build("3")
    assert ci.push("3").returncode == 0
    shop.sh("beta", "cp /etc/dagfleet/pki/mesh-client.pem /etc/dagfleet/pki/mesh-client.pem.key /root")
    assert shop.answer("beta", "/root/mesh-client.pem", "/v2/") == "200"
    well(shop.operator.run("certs", "revoke", "beta/mesh-client"))
    # No status at all: TLS refuses it, by an alert or, where the request overtook that, by the end.
    assert not shop.answer("beta", "/root/mesh-client.pem", "/v2/").isdigit()
    shop.sh("beta", "rm /root/mesh-client.pem*")
    shop.sh("beta", f"docker pull --quiet {NAME}/etl:3")


def test_taken_out_of_the_file_it_is_gone_and_its_images_wait_for_its_return(shop: Shop, ci: Ci) -> None:
    assert ci
    well(shop.operator.run("rollback", "etl"))
    path = shop.operator.folder / "fleet.yml"
    before = path.read_text()
    assert SECTION in before
    path.write_text(before.replace(SECTION, ""))
    well(shop.operator.run("apply", "-y"))
    assert ":5000" not in shop.sh("alpha", "ss -Hltn; nft list table inet dagfleet")
    assert ":5001" not in shop.sh("alpha", "ss -Hltn")
    for host in shop.ADDRESSES:
        assert "5000" not in shop.sh(host, "ls /etc/docker/certs.d 2>/dev/null || true")
        assert "dagster.lab.test" not in shop.sh(host, "cat /etc/hosts")
    assert "tags" in shop.sh("alpha", f"ls {IMAGES}/etl/_manifests")
    assert "as the last apply left it" in well(shop.operator.run("apply", "-y")).output
    path.write_text(before)
    well(shop.operator.run("apply", "-y"))
    shop.sh("beta", f"docker rmi {NAME}/etl:3; docker pull --quiet {NAME}/etl:3")


def test_destroy_leaves_no_image_and_nothing_else(shop: Shop) -> None:
    well(shop.operator.run("destroy", "--data", "--yes-destroy", shop.operator.fleet_name))
    for host in shop.ADDRESSES:
        now = machine_state(shop, host)
        assert not now - shop.fresh[host], (host, sorted(now - shop.fresh[host]))
        assert not shop.fresh[host] - now, (host, sorted(shop.fresh[host] - now))

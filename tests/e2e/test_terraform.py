"""Terraform, from nothing to a fleet: the example for machines that exist, on practice machines."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.deployed import APPLY_SECONDS, REPOSITORY, Operator, Result

NAME, NETWORK = "e2e-terraform", 38
SSH = {"user": "ops", "key": ".dagfleet/lab/id_ed25519"}
ALPHA = {"address": f"10.89.{NETWORK}.11", "ssh": SSH}
BETA = {"address": f"10.89.{NETWORK}.12", "ssh": SSH, "docker": "none"}

# What the example says of its own machines and images, said of practice machines.
PRACTICE = f"""
module "fleet" {{
  name     = "{NAME}"
  control  = {{ host = "alpha", web = {{ hostname = "dagster.lab.test" }} }}
  hosts    = var.hosts
  firewall = {{ operators = ["10.89.{NETWORK}.1"], open = var.open }}
}}
"""
VARIABLES = """
variable "hosts" { type = any }
variable "open" {
  type    = any
  default = []
}
"""
FLEET = """
version: 1
terraform: .
dagster: {version: "1.13.27"}
control: {web: {users: secret://web_users}}
docker: {images: push}
images: {base: "dagfleet-lab/python:1"}
pki: {passphrase: secret://ca_passphrase}
secrets: {web_users: {generated: {users: [demo]}}, ca_passphrase: {generated: true}}
"""


@dataclass(frozen=True)
class Site:
    operator: Operator
    engine: docker.DockerClient

    def write(self, **variables: Any) -> None:
        given = {"dagfleet": str(self.operator.command), **variables}
        (self.operator.folder / "given.auto.tfvars.json").write_text(json.dumps(given))

    def terraform(self, *arguments: str) -> Result:
        done = subprocess.run(
            ["terraform", f"-chdir={self.operator.folder}", *arguments],
            env=self.operator.environment(TF_IN_AUTOMATION="1", TF_INPUT="0"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=APPLY_SECONDS, check=False,
        )  # fmt: skip
        return Result(code=done.returncode, output=done.stdout, errors=done.stderr)

    def apply(self) -> str:
        done = self.terraform("apply", "-auto-approve", "-no-color")
        assert done.code == 0, done.output + done.errors
        return done.output

    def sh(self, host: str, script: str) -> str:
        code, output = self.engine.containers.get(f"dagfleet-{NAME}-{host}").exec_run(["sh", "-c", script])
        assert code == 0, output.decode()
        return str(output.decode())


@pytest.fixture(scope="module")
def site(
    installed: Path, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed: nothing of terraform/ was tried on machines")
    tree = tmp_path_factory.mktemp("terraform")
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.auto.tfvars*", ".dagfleet")
    shutil.copytree(REPOSITORY / "terraform", tree, dirs_exist_ok=True, ignore=left)
    folder = tree / "examples" / "existing"
    (folder / "practice_override.tf").write_text(PRACTICE)
    (folder / "practice.tf").write_text(VARIABLES)
    (folder / "fleet.yml").write_text(FLEET)
    site = Site(Operator(command=installed, folder=folder), engine)
    fleet = {"name": NAME, "control": {"host": "alpha", "web": {"hostname": "dagster.lab.test"}}}
    both = json.dumps({"version": 1, "fleet": {**fleet, "hosts": {"alpha": ALPHA, "beta": BETA}}})
    site.operator.run("lab", "down", DAGFLEET_CONTRACT=both)
    try:
        up = site.operator.run("lab", "up", DAGFLEET_CONTRACT=both)
        assert up.code == 0, up.output + up.errors
        assert site.terraform("get").code == 0
        yield site
    finally:
        site.operator.run("lab", "down", DAGFLEET_CONTRACT=both)


def test_terraform_apply_makes_a_fleet_of_machines_that_exist(site: Site) -> None:
    site.write(hosts={"alpha": ALPHA})
    site.apply()
    status = site.operator.run("status", "--json")
    assert status.code == 0, status.output + status.errors
    assert site.sh("alpha", "systemctl is-active haproxy docker").split() == ["active", "active"]
    assert "0 added, 0 changed, 0 destroyed" in site.apply()


def test_a_host_added_in_terraform_is_in_the_next_plan_and_the_next_apply(site: Site) -> None:
    site.write(hosts={"alpha": ALPHA, "beta": BETA})
    # Only the outputs: an ordinary apply would leave dagfleet nothing to plan.
    named = site.terraform("apply", "-refresh-only", "-auto-approve", "-no-color")
    assert named.code == 0, named.output + named.errors
    plan = site.operator.run("plan")
    assert plan.code == 2, plan.output + plan.errors
    assert re.search(r"^  beta +\+ host", plan.output, re.MULTILINE), plan.output
    site.apply()
    assert site.operator.run("plan").code == 0


def test_a_changed_firewall_in_the_contract_reaches_the_hosts(site: Site) -> None:
    site.write(hosts={"alpha": ALPHA, "beta": BETA}, open=[{"port": 9100}])
    site.apply()
    assert "9100" in site.sh("beta", "nft list table inet dagfleet")

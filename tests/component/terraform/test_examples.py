"""The examples: that they are wired. For the clouds against a double, which says itself what that proves."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagfleet.cli.main import run
from dagfleet.fleet import load_fleet

from tests.component.terraform.conftest import Terraform

GIVEN: dict[str, dict[str, Any]] = {
    "hetzner": {},
    "aws": {"subnet_id": "subnet-0d0b1e", "ami": "ami-0d0b1e"},
}
COMMON = {
    "operators": ["192.0.2.7/32"],
    "ssh_public_key": "ssh-ed25519 AAAAC3Nza ops@laptop",
    "hostname": "dagster.example.com",
}


@dataclass(frozen=True)
class Cloud:
    name: str
    terraform: Terraform
    contract: dict[str, Any]
    state: list[dict[str, Any]]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """What was made of a type, by host."""
        return {one["index"]: one["values"] for one in self.state if one["type"] == kind and "index" in one}


@pytest.fixture(scope="module", params=GIVEN)
def cloud(
    request: pytest.FixtureRequest, copied: Callable[..., Terraform], cloud_settings: dict[str, str]
) -> Iterator[Cloud]:
    terraform = copied(f"examples/{request.param}", cloud_settings)
    terraform.variables(**COMMON, **GIVEN[request.param])
    outputs = terraform.apply()
    state = json.loads(terraform.ok("show", "-json").output)["values"]["root_module"]["resources"]
    yield Cloud(request.param, terraform, outputs["dagfleet"], state)
    terraform.ok("destroy", "-auto-approve")


def admitted(contract: dict[str, Any], host: str) -> dict[int, set[str]]:
    """Whom the matrix lets in, by port. What it should be is tried in test_modules.py."""
    fleet = contract["fleet"]
    control = fleet["control"]["host"]
    operators, launcher = set(COMMON["operators"]), {f"{fleet['hosts'][control]['address']}/32"}
    doors = {22: operators, 4443: launcher, 2376: launcher | operators}
    if host == control:
        doors[4443] = {f"{one['address']}/32" for one in fleet["hosts"].values()}
        doors[443] = set(fleet["firewall"].get("web", ["0.0.0.0/0", "::/0"]))
    return doors


def test_the_firewall_of_each_server_is_the_matrix(cloud: Cloud) -> None:
    if cloud.name == "hetzner":
        firewalls, servers = cloud.resources("hcloud_firewall"), cloud.resources("hcloud_server")
        for host, firewall in firewalls.items():
            rules = {int(rule["port"]): set(rule["source_ips"]) for rule in firewall["rule"] if rule["port"]}
            assert rules == admitted(cloud.contract, host)
            assert servers[host]["firewall_ids"] == [int(firewall["id"])]
            assert {rule["direction"] for rule in firewall["rule"]} == {"in"}
    else:
        firewalls, servers = cloud.resources("aws_security_group"), cloud.resources("aws_instance")
        for host, firewall in firewalls.items():
            rules = {
                rule["from_port"]: {*rule["cidr_blocks"], *rule["ipv6_cidr_blocks"]}
                for rule in firewall["ingress"]
                if rule["from_port"] == rule["to_port"]
            }
            assert rules == admitted(cloud.contract, host)
            assert servers[host]["vpc_security_group_ids"] == [firewall["id"]]
    assert firewalls.keys() == servers.keys() == {"alpha", "beta", "gamma"}


def test_each_server_has_the_address_that_the_contract_says(cloud: Cloud) -> None:
    addresses = {name: host["address"] for name, host in cloud.contract["fleet"]["hosts"].items()}
    if cloud.name == "hetzner":
        ips, servers = cloud.resources("hcloud_primary_ip"), cloud.resources("hcloud_server")
        assert {name: ip["ip_address"] for name, ip in ips.items()} == addresses
        assert all(servers[name]["public_net"][0]["ipv4"] == int(ip["id"]) for name, ip in ips.items())
    else:
        instances = cloud.resources("aws_instance")
        assert {name: instance["private_ip"] for name, instance in instances.items()} == addresses


def test_cloud_init_leaves_one_user_with_a_key_and_sudo(cloud: Cloud) -> None:
    servers = cloud.resources("hcloud_server" if cloud.name == "hetzner" else "aws_instance")
    for server in servers.values():
        first, text = server["user_data"].split("\n", 1)
        assert first == "#cloud-config"
        said = yaml.safe_load(text)
        assert (said["disable_root"], said["ssh_pwauth"]) == (True, False)
        [user] = said["users"]
        assert user["name"] == cloud.contract["fleet"]["hosts"]["alpha"]["ssh"]["user"]
        assert user["ssh_authorized_keys"] == [COMMON["ssh_public_key"]]
        assert "NOPASSWD" in user["sudo"]


def test_a_host_added_in_terraform_is_in_the_fleet(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--from-terraform", str(cloud.terraform.folder)]) == 0
    assert list(load_fleet(tmp_path / "fleet.yml").fleet.hosts) == ["alpha", "beta", "gamma"]
    hosts = {
        "alpha": {"server_type": "cx33", "instance_type": "m7i.large", "number": 11},
        "delta": {"server_type": "cx33", "instance_type": "m7i.large", "number": 14, "docker": "none"},
    }
    cloud.terraform.variables(**COMMON, **GIVEN[cloud.name], hosts=hosts)
    cloud.terraform.apply()
    fleet = load_fleet(tmp_path / "fleet.yml").fleet
    assert list(fleet.hosts) == ["alpha", "delta"]
    assert not fleet.hosts["delta"].runs_docker


def test_what_a_provider_does_not_know_is_refused(cloud: Cloud) -> None:
    """The double would notice a mistyped argument: without that it would prove nothing."""
    kind = "hcloud_ssh_key" if cloud.name == "hetzner" else "aws_instance"
    mistyped = cloud.terraform.folder / "mistyped.tf"
    mistyped.write_text(f'resource "{kind}" "mistyped" {{\n  nmae = "x"\n}}\n')
    try:
        refused = cloud.terraform("validate", "-no-color")
    finally:
        mistyped.unlink()
    assert refused.code == 1
    assert "nmae" in refused.errors


def test_the_existing_example_gives_a_fleet_that_its_fleet_yml_describes(
    copied: Callable[..., Terraform],
) -> None:
    terraform = copied("examples/existing")
    # Its hosts are nobody's: `true` stands in for dagfleet, and tests/e2e/test_terraform.py has real ones.
    terraform.variables(dagfleet="true")
    terraform.apply()
    fleet = load_fleet(terraform.folder / "fleet.yml").fleet
    assert list(fleet.hosts) == ["alpha", "beta", "gamma"]
    assert fleet.locations["etl"].hosts == ("beta", "gamma")

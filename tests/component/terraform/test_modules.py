"""The modules say and refuse what fleet.yml does; the matrix is what the hosts' own firewall admits."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagfleet.derive import Artifacts, LauncherPackage, host_vars
from dagfleet.errors import FleetFileError
from dagfleet.fleet import json_schema, load_fleet, parse_fleet

from tests.component.terraform.conftest import REPOSITORY, Terraform

REST = """
version: 1
terraform: .
dagster: {version: "1.13.27"}
control: {web: {users: secret://web_users}}
secrets: {web_users: {generated: {users: [demo]}}}
"""
TWO = {"alpha": {"address": "10.0.1.1"}, "beta": {"address": "10.0.1.2"}}
CONTROL = {"host": "alpha", "web": {"hostname": "dagster.example.com"}}


@pytest.fixture(scope="module")
def fleet_module(copied: Callable[..., Terraform]) -> Terraform:
    return copied("modules/fleet")


@pytest.mark.parametrize("module", ["fleet", "existing-hosts"])
def test_the_module_passes_its_own_tests(copied: Callable[..., Terraform], module: str) -> None:
    tested = copied(f"modules/{module}").ok("test", "-json")
    [summary] = [event["test_summary"] for event in tested.events if event["type"] == "test_summary"]
    assert summary["passed"] > 5
    assert (summary["failed"], summary["errored"], summary["skipped"]) == (0, 0, 0)


def fleet_yml_says(fleet: dict[str, Any]) -> set[str]:
    """What is wrong in a fleet.yml that takes these keys from Terraform."""
    with pytest.raises(FleetFileError) as raised:
        parse_fleet(REST, name="fleet.yml", ask=lambda _: fleet)
    return {f"{problem.key}: {problem.fact.removesuffix(' (from .)')}" for problem in raised.value.problems}


def host(**keys: Any) -> dict[str, Any]:
    return {"address": "10.0.1.9", **keys}


# Rules of one variable are tried together: Terraform, like fleet.yml, names all that it finds.
MISTAKES: dict[str, dict[str, Any]] = {
    "names": {
        "name": "Prod!",
        "control": CONTROL,
        "hosts": {**TWO, "my_host": {"address": "10.0.1.3"}, "gateway": {"address": "10.0.1.4"}},
    },
    "addresses": {
        "hosts": {
            "alpha": {"address": "10.0.1.999"},
            "beta": {"address": "10.0.01.2"},
            "delta": {"address": "fd00:1::1"},
            "eta": {"address": "127.0.0.1"},
            "zeta": {"address": "239.1.2.3"},
            "one": {"address": "10.0.1.5"},
            "two": {"address": "10.0.1.5"},
        }
    },
    "ports out of range": {
        "hosts": {**TWO, "gamma": host(ssh={"port": 0}, mesh={"port": 65536}, docker_port=70000)}
    },
    "ports taken": {
        "hosts": {
            **TWO,
            "gamma": host(address="10.0.1.3", mesh={"port": 22}),
            "delta": host(address="10.0.1.4", mesh={"port": 2376}),
            "eta": host(address="10.0.1.5", ssh={"port": 3000}, docker_port=6432),
            "zeta": host(address="10.0.1.6", mesh={"port": 20000}, docker_port=32767),
        }
    },
    "what a host takes": {
        "hosts": {
            **TWO,
            "gamma": host(address="10.0.1.3", max_runs=0, cpus=0, memory="64 GB"),
            "delta": host(address="10.0.1.4", docker="none", max_runs=3),
            "one": host(address="10.0.1.6", python="3.13"),
            "two": host(address="10.0.1.7", docker="none", python="3.9"),
            "eta": host(address="10.0.1.5", docker="podman", ssh={"user": "", "key": ""}),
        }
    },
    "the control host": {"control": {"host": "nowhere", "web": CONTROL["web"]}},
    "a control host without docker": {"hosts": {**TWO, "alpha": {"address": "10.0.1.1", "docker": "none"}}},
    "the web UI": {
        "control": {"host": "alpha", "web": {"hostname": "10.0.1.1", "port": 6432, "acme_port": 0}}
    },
    "the web UI's port": {"control": {"host": "alpha", "web": {**CONTROL["web"], "port": 2376}}},
    "the web UI's port, again": {"control": {"host": "alpha", "web": {**CONTROL["web"], "port": 25000}}},
    "sources": {
        "firewall": {
            "operators": ["office", "10.0.9.7"],
            "ssh": ["10.0.1.1/24"],
            "web": ["fd00:1::1/64", "10.0.0.0/33"],
            "open": [{"port": 9100, "sources": ["10.0.0.256"]}],
        }
    },
    "the way to Docker": {"docker": {"access": "telnet"}},
    "open ports": {"firewall": {"open": [{"port": 0}, {"port": 65536}, {"port": 9100, "protocol": "sctp"}]}},
    "open ports of ours": {
        "firewall": {"open": [{"port": 22}, {"port": 443}, {"port": 2376}, {"port": 4443}, {"port": 9100}]}
    },
}


@pytest.mark.parametrize("mistakes", MISTAKES.values(), ids=MISTAKES)
def test_terraform_refuses_in_the_words_of_fleet_yml(
    fleet_module: Terraform, mistakes: dict[str, Any]
) -> None:
    fleet = {"name": "prod", "control": CONTROL, "hosts": TWO, **mistakes}
    fleet_module.variables(**fleet)
    refused = fleet_module("plan", "-json")
    assert refused.code == 1
    assert set(refused.complaints) == fleet_yml_says(fleet)


def test_whole_numbers_are_whole(fleet_module: Terraform) -> None:
    # Terraform knows one kind of number, fleet.yml two.
    fleet_module.variables(
        name="prod",
        control={"host": "alpha", "web": {"port": 443.5}},
        hosts={"alpha": host(max_runs=1.5, docker_port=2376.5)},
        firewall={"open": [{"port": 9100.5}]},
    )
    assert set(fleet_module("plan", "-json").complaints) >= {
        "hosts.alpha.max_runs: must be a whole number; this is a number",
        "hosts.alpha.docker_port: must be a whole number; this is a number",
    }


@pytest.mark.parametrize("part", ["hosts", "control", "docker", "firewall"])
def test_what_a_key_means_is_said_in_the_words_of_fleet_yml(part: str) -> None:
    schema = json_schema()
    folder = REPOSITORY / "terraform/modules/fleet"
    text = "".join(file.read_text() for file in sorted(folder.glob("*.tf")))
    [described] = re.findall(rf'variable "{part}" {{\n  description = <<-EOT\n(.*?)  EOT', text, re.DOTALL)
    said = dict(re.findall(r"- ([\w.]+): (.*)", described))
    assert said
    for key, meaning in said.items():
        node = schema["properties"][part]
        for step in key.split("."):
            node = inner(node, schema)["properties"][step]
        assert meaning == node["description"], f"{part}.{key}"


def inner(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in (node, node.get("additionalProperties", {}), node.get("items", {})):
        if reference := option.get("$ref"):
            found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
            return found
    return node


@pytest.mark.parametrize("ssh", [["10.0.9.0/24"], []], ids=["ssh from somewhere", "ssh from anywhere"])
@pytest.mark.parametrize("access", ["mesh", "tls", "ssh"])
def test_the_matrix_admits_whom_the_hosts_own_firewall_admits(
    fleet_module: Terraform, access: str, ssh: list[str]
) -> None:
    fleet_module.variables(
        name="prod",
        control={"host": "alpha", "web": {**CONTROL["web"], "port": 8443, "acme_port": 8402}},
        hosts={
            "alpha": {"address": "10.0.1.1", "ssh": {"port": 2222}},
            "beta": {"address": "10.0.1.2", "mesh": {"port": 5443}, "docker_port": 2377},
            "delta": {"address": "10.0.1.4", "docker": "none"},
        },
        docker={"access": access},
        firewall={
            "operators": ["10.0.9.7", "fd00:9::/64"],
            "ssh": ssh,
            "open": [{"port": 9100, "sources": ["10.0.9.9"]}, {"port": 514, "protocol": "udp"}],
        },
    )
    outputs = fleet_module.apply()
    fleet = parse_fleet(REST, name="fleet.yml", ask=lambda _: outputs["contract"]["fleet"])
    assert fleet.docker.access == access
    package = LauncherPackage(digest="def", archive=Path("l.tar"))
    artifacts = Artifacts(control_image="dagfleet/control-plane:1", launcher=package, process_releases={})
    for name in fleet.hosts:
        admitted = {
            (door["port"], door["protocol"]): set(door["sources"]) for door in outputs["firewall"][name]
        }
        assert admitted == own_firewall(host_vars(fleet, name, artifacts), fleet.hosts[name].runs_docker)
        by_docker = [door["port"] for door in outputs["firewall"][name] if door["purpose"] == "docker"]
        assert by_docker == ([] if access == "ssh" or name == "delta" else [fleet.hosts[name].docker_port])
    fleet_module.ok("destroy", "-auto-approve")


def own_firewall(variables: dict[str, Any], runs_docker: bool) -> dict[tuple[int, str], set[str]]:
    """Whom role base lets in, as networks; its own containers no cloud's firewall sees."""
    fleet, anywhere = variables["base_fleet_addresses"], ["0.0.0.0/0", "::/0"]
    from_outside = [
        source for source in variables["base_ssh_sources"] if source not in variables["base_private_subnets"]
    ]
    doors = {
        (variables["base_ssh_ports"][0], "tcp"): from_outside or anywhere,
        (variables["base_mesh_port"], "tcp"): fleet,
    }
    if runs_docker and variables["base_docker_port"]:
        doors[variables["base_docker_port"], "tcp"] = [
            *variables["base_docker_client_addresses"], *variables["base_operator_addresses"]
        ]  # fmt: skip
    if variables["base_web_port"]:
        doors[variables["base_web_port"], "tcp"] = variables["base_web_sources"] or anywhere
    for opened in variables["base_open_ports"]:
        doors[opened["port"], opened["protocol"]] = opened["sources"] or anywhere
    return {
        door: {each if "/" in each else f"{each}/{128 if ':' in each else 32}" for each in sources}
        for door, sources in doors.items()
    }


# Stands in for dagfleet, which needs a fleet: notes what it is asked, and answers what the test says.
DAGFLEET = """#!/bin/sh
echo "$*" >>'{folder}/asked'
printf '%s' "$DAGFLEET_CONTRACT" >'{folder}/contract'
left=$(cat '{folder}/unreachable' 2>/dev/null || echo 0)
if [ "$1" = check ] && [ "$left" -gt 0 ]; then
    echo $((left - 1)) >'{folder}/unreachable'
    echo "alpha (10.0.1.1:22) does not answer."
    exit 5
fi
[ "$1" = check ] && exit 1 # something to fix, which is for the apply to say
[ ! -e '{folder}/broken' ]
"""


class Recorded:
    def __init__(self, folder: Path, terraform: Terraform) -> None:
        self.folder, self.terraform = folder, terraform
        self.program = folder / "dagfleet"
        self.program.write_text(DAGFLEET.format(folder=folder))
        self.program.chmod(0o755)

    def variables(self, *hosts: str, **values: Any) -> None:
        machines = {name: {"address": "10.0.1.1", "ssh": {"user": "ops", "port": 22}} for name in hosts}
        contract = {"version": 1, "fleet": {"hosts": machines}}
        self.terraform.variables(
            contract=contract, dagfleet=str(self.program), fleet_file="tests/fleet.yml", **values
        )

    def asked(self) -> list[str]:
        """Return what dagfleet was asked since the last time."""
        file = self.folder / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def existing(copied: Callable[..., Terraform], tmp_path: Path) -> Recorded:
    return Recorded(tmp_path, copied("modules/existing-hosts"))


def test_it_waits_for_hosts_and_applies_the_contract_it_was_given(existing: Recorded) -> None:
    (existing.folder / "unreachable").write_text("2")
    existing.variables("alpha", accept_new_host_keys=True)
    existing.terraform.apply()
    assert existing.asked() == ["check --accept-new-host-keys"] * 3 + ["apply --yes"]
    assert json.loads((existing.folder / "contract").read_text())["fleet"]["hosts"].keys() == {"alpha"}


def test_hosts_that_never_answer_end_it_with_what_dagfleet_said(existing: Recorded) -> None:
    (existing.folder / "unreachable").write_text("99")
    existing.variables("alpha", wait_seconds=1)
    failed = existing.terraform("apply", "-auto-approve", "-no-color")
    assert failed.code == 1
    assert "alpha (10.0.1.1:22) does not answer." in failed.output
    assert "Not every host let dagfleet in within 1 s" in failed.output
    assert "apply --yes" not in existing.asked()


def test_it_applies_again_when_the_contract_changes_or_the_last_apply_failed(existing: Recorded) -> None:
    existing.variables("alpha")
    existing.terraform.apply()
    existing.asked()
    existing.terraform.apply()
    assert existing.asked() == []
    existing.variables("alpha", "beta")
    (existing.folder / "broken").touch()
    assert existing.terraform("apply", "-auto-approve").code == 1
    assert existing.asked() == ["check", "apply --yes"]
    (existing.folder / "broken").unlink()
    existing.terraform.apply()
    assert existing.asked() == ["apply --yes"]


def test_a_state_of_terraform_is_a_fleet(fleet_module: Terraform, tmp_path: Path) -> None:
    """The module's output, read from a state that Terraform wrote."""
    root = tmp_path / "infra"
    root.mkdir()
    (root / "main.tf").write_text(
        f'module "fleet" {{\n  source  = "{fleet_module.folder}"\n  name    = "prod"\n'
        '  control = { host = "alpha", web = { hostname = "d.example.com" } }\n'
        '  hosts   = { alpha = { address = "10.0.1.1", labels = { gpu = true } } }\n}\n'
        'output "dagfleet" {\n  value     = module.fleet.contract\n  sensitive = true\n}\n'
    )
    terraform = Terraform(root, fleet_module.environ)
    terraform.ok("get")
    terraform.apply()
    (tmp_path / "fleet.yml").write_text(REST.replace("terraform: .", "terraform: infra"))
    assert load_fleet(tmp_path / "fleet.yml").fleet.hosts["alpha"].labels == {"gpu": "true"}
    # The same through Terraform itself, as for a state that is elsewhere.
    (root / ".terraform/environment").write_text("default")
    assert load_fleet(tmp_path / "fleet.yml").fleet.hosts["alpha"].address == "10.0.1.1"

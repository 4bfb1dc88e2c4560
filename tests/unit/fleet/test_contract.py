"""What fleet.yml takes from Terraform: where it is read, how it is joined, what is said when it cannot be."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from dagfleet.errors import FleetFileError
from dagfleet.fleet import FleetFile, load_fleet

from tests.unit.fleet.texts import fleet_text

MACHINES: dict[str, Any] = {
    "name": "prod",
    "control": {"host": "alpha", "web": {"hostname": "dagster.example.com", "port": 8443}},
    "hosts": {
        "alpha": {"address": "10.0.1.1", "ssh": {"user": "ops"}},
        "beta": {"address": "10.0.1.2"},
        "gamma": {"address": "10.0.1.3"},
        "delta": {"address": "10.0.1.4", "docker": "none"},
    },
    "firewall": {"operators": ["10.0.9.7"]},
}
REST: dict[str, str | None] = {
    "name": "terraform: infra",
    "control": "control: {web: {users: secret://web_users}}",
    "hosts": None,
}
# A program of this name, in place of Terraform with a backend that is not on this machine.
TERRAFORM = """#!/bin/sh
echo "$@" >>"{log}"
{body}
"""


@pytest.fixture
def prod(tmp_path: Path) -> Path:
    (tmp_path / "infra").mkdir()
    write(tmp_path)
    return tmp_path


def write(folder: Path, **sections: str | None) -> None:
    (folder / "fleet.yml").write_text(fleet_text(**{**REST, **sections}))


def contract(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "fleet": {**MACHINES, **changes}}


def state(folder: Path, value: Any, output: str = "dagfleet") -> Path:
    path = folder / "infra" / "terraform.tfstate"
    outputs = {output: {"value": value, "type": "dynamic"}}
    path.write_text(json.dumps({"version": 4, "terraform_version": "1.11.4", "outputs": outputs}))
    return path


def load(folder: Path, **environ: str) -> FleetFile:
    return load_fleet(folder / "fleet.yml", environ={"PATH": str(folder / "bin"), **environ})


def terraform(folder: Path, body: str, name: str = "terraform") -> Path:
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(TERRAFORM.format(log=folder / "asked", body=body))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder / "asked"


def problems(folder: Path, **environ: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(FleetFileError) as raised:
        load(folder, **environ)
    return [(problem.line, problem.key, problem.fact) for problem in raised.value.problems]


def said(folder: Path, **environ: str) -> str:
    [(_, key, fact)] = problems(folder, **environ)
    assert key in {"terraform", ""}
    return fact


def test_hosts_come_from_the_state(prod: Path) -> None:
    state(prod, contract())
    fleet = load(prod).fleet
    assert list(fleet.hosts) == ["alpha", "beta", "gamma", "delta"]
    assert fleet.hosts["alpha"].ssh.user == "ops"
    assert (fleet.name, fleet.control.host, fleet.control.web.port) == ("prod", "alpha", 8443)
    assert fleet.control.web.users == "secret://web_users"
    assert fleet.firewall.operators == ("10.0.9.7",)


def test_a_host_added_in_terraform_is_in_the_fleet_the_next_time_it_is_read(prod: Path) -> None:
    state(prod, contract())
    before = load(prod).fleet.hosts
    state(prod, contract(hosts={**MACHINES["hosts"], "epsilon": {"address": "10.0.1.5"}}))
    assert load(prod).fleet.hosts.keys() - before.keys() == {"epsilon"}


@pytest.mark.parametrize("shape", ["output -json", "output -json dagfleet", "state"])
def test_a_file_will_do_as_well(prod: Path, shape: str) -> None:
    value = {
        "output -json": {"dagfleet": {"sensitive": False, "type": "dynamic", "value": contract()}},
        "output -json dagfleet": contract(),
        "state": json.loads(state(prod, contract()).read_text()),
    }[shape]
    (prod / "contract.json").write_text(json.dumps(value))
    write(prod, name="terraform: ./contract.json")
    assert len(load(prod).fleet.hosts) == 4


def test_what_terraform_does_not_say_stands_in_the_file(prod: Path) -> None:
    state(prod, contract())
    write(prod, hosts="hosts: {beta: {max_runs: 3}, old: {address: 10.0.7.1}}")
    hosts = load(prod).fleet.hosts
    assert hosts["beta"].max_runs == 3
    assert hosts["old"].address == "10.0.7.1"


def test_what_both_say_is_refused(prod: Path) -> None:
    state(prod, contract())
    write(prod, name="terraform: infra\nname: prod", hosts="hosts: {beta: {address: 10.0.1.9}}")
    assert [(key, fact) for _, key, fact in problems(prod)] == [
        ("name", "infra says it too; keep it there or here"),
        ("hosts.beta.address", "infra says it too; keep it there or here"),
    ]


def test_the_way_to_docker_is_terraforms_and_the_rest_of_docker_the_files(prod: Path) -> None:
    state(prod, contract(docker={"access": "ssh"}))
    write(prod, docker="docker: {images: push}")
    docker = load(prod).fleet.docker
    assert (docker.access, docker.images) == ("ssh", "push")
    write(prod, docker="docker: {access: tls}")
    assert problems(prod)[0][1:] == ("docker.access", "infra says it too; keep it there or here")


def test_mistakes_in_terraform_are_told_with_where_they_come_from(prod: Path) -> None:
    hosts = {**MACHINES["hosts"], "beta": {"adress": "10.0.1.2"}, "gamma": {"address": "10.0.1.1"}}
    state(prod, contract(hosts=hosts))
    line = (prod / "fleet.yml").read_text().splitlines().index("terraform: infra") + 1
    assert problems(prod) == [
        (line, "hosts.beta.adress", 'unknown key; did you mean "address"? (from infra)'),
        (line, "hosts.gamma.address", '10.0.1.1 is the address of "alpha" already (from infra)'),
    ]


def test_a_remote_state_is_asked_for_with_terraform(prod: Path) -> None:
    outputs = json.dumps({"dagfleet": {"value": contract()}})
    asked = terraform(prod, f"echo '{outputs}'")
    assert len(load(prod).fleet.hosts) == 4
    assert asked.read_text() == f"-chdir={prod}/infra output -json -no-color\n"


@pytest.mark.parametrize("sign", ["backend", "workspace", "environment"])
def test_a_state_that_may_not_be_the_one_in_use_is_not_trusted(prod: Path, sign: str) -> None:
    state(prod, contract(name="stale"))
    terraform(prod, f"echo '{json.dumps({'dagfleet': {'value': contract(name='current')}})}'", "tofu")
    (prod / "infra/.terraform").mkdir()
    if sign == "backend":
        (prod / "infra/.terraform/terraform.tfstate").write_text("{}")
    elif sign == "workspace":
        (prod / "infra/.terraform/environment").write_text("blue")
    environ = {"TF_WORKSPACE": "blue"} if sign == "environment" else {}
    assert load(prod, **environ).fleet.name == "current"


def test_a_local_state_needs_no_terraform(prod: Path) -> None:
    state(prod, contract())
    asked = terraform(prod, "exit 1")
    assert load(prod).fleet.name == "prod"
    assert not asked.exists()


def test_the_environment_goes_before_for_the_time_that_terraform_applies(prod: Path) -> None:
    state(prod, contract(name="old"))
    loaded = load(prod, DAGFLEET_CONTRACT=json.dumps(contract(name="new")))
    assert loaded.fleet.name == "new"
    assert json.loads(loaded.contract or "") == contract(name="new")


def test_a_file_that_takes_nothing_from_terraform_does_not_ignore_the_environment(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(fleet_text())
    assert "takes nothing from Terraform" in said(tmp_path, DAGFLEET_CONTRACT=json.dumps(contract()))
    assert load(tmp_path).contract is None


def test_without_state_and_without_terraform_it_says_what_to_do(prod: Path) -> None:
    assert said(prod) == (
        '"infra" has no state file, and neither terraform nor tofu is here to ask; install one, or '
        "name a file that holds what terraform output -json prints"
    )


def test_a_folder_that_is_not_there(prod: Path) -> None:
    write(prod, name="terraform: ../infar")
    assert said(prod).startswith('there is no folder or file "../infar"')


def test_an_output_that_is_missing(prod: Path) -> None:
    state(prod, contract(), output="fleet")
    assert said(prod).startswith('"infra" has no output named dagfleet; write output "dagfleet"')


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param({"version": 2, "fleet": {}}, "version 2 of the fleet contract", id="another version"),
        pytest.param({"fleet": {}}, "version None of the fleet contract", id="no version"),
        pytest.param({"version": 1, "fleet": {"hosts": []}}, "says hosts without keys", id="a list"),
        pytest.param(["alpha"], "holds no fleet contract", id="something else"),
        pytest.param(
            {"version": 1, "fleet": {"secrets": {"x": {"command": "rm -rf /"}}}},
            "says secrets",
            id="a command",
        ),
    ],
)
def test_a_contract_that_is_none_of_ours(prod: Path, value: object, words: str) -> None:
    state(prod, value)
    assert words in said(prod)


def test_a_file_that_is_no_json(prod: Path) -> None:
    (prod / "infra/terraform.tfstate").write_text("not {")
    assert said(prod).startswith('"infra/terraform.tfstate" is not JSON (line 1)')


def test_terraform_that_fails_is_quoted(prod: Path) -> None:
    terraform(prod, 'echo "╷" >&2; echo "│ Error: Backend initialization required" >&2; exit 1')
    assert said(prod) == (
        'terraform output in "infra": Error: Backend initialization required; try it there by hand'
    )


def test_a_state_that_is_no_text(prod: Path) -> None:
    (prod / "infra/terraform.tfstate").write_bytes(b"\xff\xfe")
    assert said(prod).startswith('"infra/terraform.tfstate" is not a text file')

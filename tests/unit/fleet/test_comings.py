"""Which hosts may come and leave, and what is said of those that may not."""

import json
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError, FleetFileError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.fleet.comings import coming, leaving

from tests.unit.phases.conftest import FLEET

TEXT = FLEET.replace(
    "alpha: {address: 10.0.1.1}", "alpha: {address: 10.0.1.1, ssh: {user: ops, key: id}}"
).replace("etl: {hosts: [beta],", "etl: {hosts: [beta, alpha],")


@pytest.fixture
def file(tmp_path: Path) -> FleetFile:
    (tmp_path / "fleet.yml").write_text(TEXT)
    (tmp_path / "reporting").mkdir()
    return load_fleet(tmp_path / "fleet.yml")


def test_a_new_host_is_entered_as_the_control_host_is(file: FleetFile) -> None:
    text, fleet_file = coming(
        file, TEXT, "gamma", address="10.0.1.3", ssh={"port": 2222}, locations=["etl"], labels=["gpu=a100"]
    )
    gamma = fleet_file.fleet.hosts["gamma"]
    assert (gamma.ssh.user, gamma.ssh.key, gamma.ssh.port) == ("ops", "id", 2222)
    assert gamma.labels == {"gpu": "a100"}
    assert fleet_file.fleet.locations["etl"].hosts == ("beta", "alpha", "gamma")
    assert (
        "  gamma: {address: 10.0.1.3, ssh: {user: ops, port: 2222, key: id}, labels: {gpu: a100}}\n" in text
    )
    assert file.path.read_text() == TEXT, "nothing is written yet"


def test_a_new_host_for_processes_says_its_python(file: FleetFile) -> None:
    text, fleet_file = coming(
        file,
        TEXT,
        "gamma",
        address="10.0.1.3",
        ssh={},
        process=True,
        python="3.13",
    )
    assert fleet_file.fleet.hosts["gamma"].python == "3.13"
    assert "docker: none, python: '3.13'" in text
    with pytest.raises(FleetFileError) as refused:
        coming(file, TEXT, "gamma", address="10.0.1.3", ssh={}, python="3.13")
    assert "this host runs Docker" in refused.value.problems[0].fact


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("beta", {}, "host beta is in fleet.yml already"),
        ("gamma", {"locations": ["etll"]}, 'no location is named "etll"'),
        ("gamma", {"labels": ["gpu"]}, '"gpu" is no label'),
    ],
)
def test_a_host_that_cannot_come_is_refused(
    file: FleetFile, name: str, more: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        coming(file, TEXT, name, address="10.0.1.3", ssh={}, **more)  # type: ignore[arg-type]
    assert said in refused.value.message
    assert refused.value.fix


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("gamma", "10.0.1.2", '10.0.1.2 is the address of "beta" already'),
        ("Gamma", "10.0.1.3", '"Gamma" cannot be a name'),
        ("gamma", "somewhere", '"somewhere" is not an IPv4 address'),
    ],
)
def test_the_new_file_is_held_to_the_same_rules(file: FleetFile, name: str, address: str, said: str) -> None:
    with pytest.raises(FleetFileError) as refused:
        coming(file, TEXT, name, address=address, ssh={})
    assert said in " ".join(problem.fact for problem in refused.value.problems)


def test_a_host_leaves_the_pools_that_it_was_in(file: FleetFile) -> None:
    text, fleet_file = leaving(file, TEXT, "beta")
    assert "beta" not in text
    assert fleet_file.fleet.locations["etl"].hosts == ("alpha",)


@pytest.mark.parametrize(
    ("name", "said", "fix"),
    [
        ("alpha", "alpha is the control host", "dagfleet destroy"),
        ("delta", "delta is the only host of reporting", "locations.reporting another host in fleet.yml"),
    ],
)
def test_a_host_that_the_fleet_cannot_do_without_stays(
    file: FleetFile, name: str, said: str, fix: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        leaving(file, TEXT, name)
    assert said in refused.value.message
    assert fix in str(refused.value.fix)


@pytest.fixture
def terraformed(tmp_path: Path) -> FleetFile:
    """A fleet of which alpha and beta are Terraform's, delta and zeta its file's own."""
    hosts = {"alpha": {"address": "10.0.1.1"}, "beta": {"address": "10.0.1.2"}}
    contract = {"version": 1, "fleet": {"control": {"host": "alpha"}, "hosts": hosts}}
    (tmp_path / "contract").write_text(json.dumps(contract))
    text = FLEET.replace("host: alpha, web", "web").replace("name: prod", "name: prod\nterraform: contract")
    for row in ("  alpha: {address: 10.0.1.1}\n", "  beta: {address: 10.0.1.2}\n"):
        text = text.replace(row, "")
    text = text.replace("[delta], requirements: [./reporting]", '[beta], image: "r:1"')
    text = text.replace("hosts:\n", "hosts:\n  zeta: {address: 10.0.1.6}\n", 1)
    (tmp_path / "fleet.yml").write_text(text)
    return load_fleet(tmp_path / "fleet.yml")


def test_hosts_of_terraform_come_and_leave_there(terraformed: FleetFile) -> None:
    text = terraformed.path.read_text()
    with pytest.raises(ConfigurationError) as refused:
        coming(terraformed, text, "gamma", address="10.0.1.3", ssh={})
    assert refused.value.fix == "add gamma there: terraform apply, then dagfleet apply"
    idle = terraformed.fleet.model_copy(update={"locations": {}})
    pool = FleetFile(terraformed.path, idle, contract=terraformed.contract)
    with pytest.raises(ConfigurationError, match=r"host beta comes from Terraform \(contract\)"):
        leaving(pool, text, "beta")


def test_a_host_beside_those_of_terraform_may_leave(terraformed: FleetFile) -> None:
    text, left = leaving(terraformed, terraformed.path.read_text(), "delta")
    assert "delta" not in text
    assert list(left.fleet.hosts) == ["zeta", "alpha", "beta"]

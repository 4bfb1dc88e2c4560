import json
import re
from pathlib import Path

import pytest
from dagfleet.cli.first_file import fleet_name, hosts_from
from dagfleet.cli.main import run
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import load_fleet


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "prod"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DAGFLEET_CA_PASSPHRASE", raising=False)
    return folder


def test_a_first_file_can_be_used_as_it_is(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "ops@10.0.1.1", "worker=ops@10.0.1.2", "10.0.1.3", "--process", "10.0.1.3"]) == 0
    fleet = load_fleet(here / "fleet.yml").fleet
    assert fleet.name == "prod"
    assert fleet.control.host == "alpha"
    assert {name: host.address for name, host in fleet.hosts.items()} == {
        "alpha": "10.0.1.1",
        "worker": "10.0.1.2",
        "beta": "10.0.1.3",
    }
    assert fleet.hosts["alpha"].ssh.user == "ops"
    assert not fleet.hosts["beta"].runs_docker
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == "Next: dagfleet check --accept-new-host-keys"


def test_the_locations_in_its_comments_are_right_too(here: Path) -> None:
    assert run(["init", "ops@10.0.1.1", "ops@10.0.1.2"]) == 0
    text = (here / "fleet.yml").read_text()
    # Taking the comment signs away, as a reader would.
    locations = re.findall(r"^# (locations:|  .*)$", text, re.MULTILINE)
    secret = re.findall(r"^#(  warehouse: .*)$", text, re.MULTILINE)
    whole = text.replace("secrets:\n", "\n".join([*locations, "secrets:", *secret, ""]), 1)
    (here / "whole.yml").write_text(whole)
    assert load_fleet(here / "whole.yml").fleet.locations["etl"].hosts == ("beta",)


def test_an_existing_file_is_never_overwritten(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "fleet.yml").write_text("mine")
    assert run(["init", "10.0.1.1"]) == 3
    assert (here / "fleet.yml").read_text() == "mine"
    assert "is there already" in capfd.readouterr().err


def test_with_a_passphrase_the_authorities_are_made(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGFLEET_CA_PASSPHRASE", "a long passphrase")
    assert run(["init", "10.0.1.1"]) == 0
    assert (here / ".dagfleet" / "pki" / "mesh" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (here / ".dagfleet" / ".gitignore").read_text() == "*\n"


def test_without_one_the_first_apply_makes_them(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "10.0.1.1"]) == 0
    assert not (here / ".dagfleet" / "pki").exists()
    assert "DAGFLEET_CA_PASSPHRASE" in capfd.readouterr().out


def test_without_hosts_and_without_a_terminal_it_says_what_to_type(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 3
    assert "dagfleet init ops@10.0.1.1" in capfd.readouterr().err


def test_an_address_that_is_none_writes_nothing(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "ops@10.0.1.999"]) == 3
    assert not (here / "fleet.yml").exists()
    assert "10.0.1.999" in capfd.readouterr().err


@pytest.mark.parametrize("word", ["ops@", "=10.0.1.1", "@10.0.1.1"])
def test_a_word_that_names_no_host_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host"):
        hosts_from([word])


def test_names_given_are_not_given_again() -> None:
    assert [host.name for host in hosts_from(["10.0.1.1", "alpha=10.0.1.2", "10.0.1.3"])] == [
        "beta",
        "alpha",
        "gamma",
    ]


@pytest.mark.parametrize(("folder", "name"), [("My Fleet", "my-fleet"), ("2024", "prod"), ("prod", "prod")])
def test_the_fleet_is_named_after_its_folder(folder: str, name: str) -> None:
    assert fleet_name(folder) == name


@pytest.fixture
def infra(here: Path) -> Path:
    """A Terraform configuration that was applied, beside the fleet's folder."""
    folder = here.parent / "infra"
    folder.mkdir()
    said(folder, {"alpha": {"address": "10.0.1.1"}, "beta": {"address": "10.0.1.2"}})
    return folder


def said(folder: Path, hosts: dict[str, object], **more: object) -> None:
    fleet = {"name": "tofu", "control": {"host": "alpha"}, "hosts": hosts, **more}
    outputs = {"dagfleet": {"value": {"version": 1, "fleet": fleet}}}
    (folder / "terraform.tfstate").write_text(json.dumps({"terraform_version": "1.11.4", "outputs": outputs}))


def test_a_file_from_terraform_can_be_used_as_it_is_and_follows_it(here: Path, infra: Path) -> None:
    assert run(["init", "--from-terraform", "../infra"]) == 0
    fleet = load_fleet(here / "fleet.yml").fleet
    assert (fleet.name, fleet.control.host, list(fleet.hosts)) == ("tofu", "alpha", ["alpha", "beta"])
    assert fleet.control.web.hostname == "dagster.tofu.example.com"
    said(infra, {"alpha": {"address": "10.0.1.1"}, "gamma": {"address": "10.0.1.3"}})
    assert list(load_fleet(here / "fleet.yml").fleet.hosts) == ["alpha", "gamma"]


def test_the_path_to_terraform_is_the_fleet_file_s(infra: Path, here: Path) -> None:
    assert run(["init", "--from-terraform", str(infra), "-f", "deep/er/fleet.yml"]) == 0
    assert 'terraform: "../../../infra"' in (here / "deep/er/fleet.yml").read_text()
    assert load_fleet(here / "deep/er/fleet.yml").fleet.name == "tofu"


def test_a_name_that_terraform_says_is_not_written_again(infra: Path, here: Path) -> None:
    said(infra, {"alpha": {"address": "10.0.1.1"}}, control={"host": "alpha", "web": {"hostname": "d.test"}})
    assert run(["init", "--from-terraform", "../infra", "--hostname", "e.test"]) == 3
    assert run(["init", "--from-terraform", "../infra"]) == 0
    assert load_fleet(here / "fleet.yml").fleet.control.web.hostname == "d.test"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from-terraform", "../infar"], 'there is no folder or file "../infar"'),
        (["--from-terraform", "../infra", "10.0.1.1"], "hosts and the fleet's name come from there"),
        (["--from-terraform", "../infra", "--name", "prod"], "hosts and the fleet's name come from there"),
    ],
)
@pytest.mark.usefixtures("infra")
def test_terraform_that_cannot_be_used_writes_nothing(
    arguments: list[str], words: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", *arguments]) == 3
    assert words in capfd.readouterr().err
    assert not (here / "fleet.yml").exists()


def test_mistakes_in_terraform_write_nothing(
    infra: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said(infra, {"alpha": {"address": "10.0.1.999"}})
    assert run(["init", "--from-terraform", "../infra"]) == 3
    assert '"10.0.1.999" is not an IPv4 address' in capfd.readouterr().err
    assert not (here / "fleet.yml").exists()

"""The launcher's SSH key is made on the control host; this machine learns its public half, and no more."""

from collections.abc import Sequence

import pytest
from dagfleet.derive.docker_ssh import launcher_key
from dagfleet.errors import DagfleetError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.phases import launcher_key as module
from dagfleet.phases.launcher_key import know_launcher_key
from dagfleet.phases.settled import seals
from dagfleet.phases.work import Work

from tests.unit.probe.reports import report

KEY = "ssh-ed25519 AAAAC3Nz dagfleet-launcher"


@pytest.fixture
def made(work: Work, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The hosts that were told to make a key; they make it, and it comes here, as the role does."""
    told: list[list[str]] = []

    def play(
        _: Work, label: str, name: str, *, hosts: Sequence[str], quiet: bool, variables: dict[str, object]
    ) -> None:
        assert (label, name, quiet, variables) == ("certs", "launcher_key", True, {})
        told.append(list(hosts))
        launcher_key(work.fleet_file.state).parent.mkdir(parents=True)
        launcher_key(work.fleet_file.state).write_text(f"{KEY}\n")

    monkeypatch.setattr(module, "play", play)
    return told


def over_ssh(work: Work) -> Work:
    path = work.fleet_file.path
    path.write_text(path.read_text().replace("docker: {images: push}", "docker: {images: push, access: ssh}"))
    work.fleet_file = load_fleet(path)
    work.reports = {host: report() for host in work.hosts}
    return work


def test_the_control_host_alone_makes_one_where_there_is_none(work: Work, made: list[list[str]]) -> None:
    assert know_launcher_key(over_ssh(work), "certs")
    assert made == [["alpha"]]
    assert work.touched


def test_one_that_is_there_is_learnt_without_touching_a_host(work: Work, made: list[list[str]]) -> None:
    over_ssh(work).reports["alpha"] = report(launcher_key=KEY)
    assert not know_launcher_key(work, "certs")
    assert launcher_key(work.fleet_file.state).read_text() == f"{KEY}\n"
    assert (made, work.touched) == ([], False)


def test_an_apply_to_other_hosts_makes_none(work: Work, made: list[list[str]]) -> None:
    work.hosts = ["beta"]
    assert not know_launcher_key(over_ssh(work), "certs")
    assert made == []


def test_a_key_that_did_not_come_is_an_error(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "play", lambda *_arguments, **_keywords: None)
    with pytest.raises(DagfleetError, match="alpha made no SSH key"):
        know_launcher_key(over_ssh(work), "certs")


def test_with_another_access_nothing_of_it_stays_here(work: Work) -> None:
    path = launcher_key(work.fleet_file.state)
    path.parent.mkdir(parents=True)
    path.write_text(KEY)
    assert not know_launcher_key(work, "certs")
    assert not path.exists()


def test_a_new_key_and_a_new_host_key_reach_the_hosts_that_they_concern(work: Work) -> None:
    def made_from(file: FleetFile) -> dict[str, str]:
        return seals(
            file, list(file.fleet.hosts), {**work.secrets, "postgres_password": "x", "web_users_salt": "y"}
        )

    file = over_ssh(work).fleet_file
    before = made_from(file)
    (file.state / "known_hosts").parent.mkdir(parents=True, exist_ok=True)
    (file.state / "known_hosts").write_text("10.0.1.2 ssh-ed25519 AAAA\n")
    introduced = made_from(file)
    assert {host for host in before if before[host] != introduced[host]} == {"alpha"}
    launcher_key(file.state).parent.mkdir(parents=True)
    launcher_key(file.state).write_text(KEY)
    rotated = made_from(file)
    assert {"alpha", "beta"} <= {host for host in before if introduced[host] != rotated[host]}

"""A host is passed over only if nothing differs: what it is made from, and what has become of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.phases.settled import seals, settled

from tests.unit.probe.reports import report

SECRETS = {"postgres_password": "one", "web_users": "demo:two", "web_users_salt": "salt", "ca": "passphrase"}


def changed(old: str, new: str) -> Callable[[FleetFile], None]:
    def act(file: FleetFile) -> None:
        text = file.path.read_text()
        assert old in text
        file.path.write_text(text.replace(old, new))

    return act


def written(name: str) -> Callable[[FleetFile], None]:
    def act(file: FleetFile) -> None:
        (file.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (file.directory / name).write_text("other")

    return act


def made_from(file: FleetFile, secrets: dict[str, str] | None = None) -> dict[str, str]:
    return seals(load_fleet(file.path), list(file.fleet.hosts), secrets or SECRETS)


def different(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {host for host, seal in before.items() if after[host] != seal}


def test_the_same_inputs_are_the_same_number(fleet_file: FleetFile) -> None:
    assert made_from(fleet_file) == made_from(fleet_file)
    assert len(set(made_from(fleet_file).values())) == len(fleet_file.fleet.hosts)


@pytest.mark.parametrize(
    ("change", "hosts"),
    [
        (changed('image: "etl:1"', 'image: "etl:2"'), {"beta"}),
        (written(".dagfleet/pki/leaves/delta/mesh-server.crt"), {"delta"}),
        (written(".dagfleet/pki/mesh/ca.crt"), {"alpha", "beta", "delta"}),
        (written("group_vars/all.yml"), {"alpha", "beta", "delta"}),
    ],
)
def test_a_changed_input_reaches_the_hosts_that_it_concerns(
    fleet_file: FleetFile, change: Callable[[FleetFile], None], hosts: set[str]
) -> None:
    before = made_from(fleet_file)
    change(fleet_file)
    assert different(before, made_from(fleet_file)) == hosts


def test_a_changed_secret_reaches_only_the_hosts_that_have_it(fleet_file: FleetFile) -> None:
    before = made_from(fleet_file)
    assert different(before, made_from(fleet_file, {**SECRETS, "web_users": "demo:three"})) == {"alpha"}
    assert different(before, made_from(fleet_file, {**SECRETS, "ca": "another"})) == set()


def test_a_changed_role_reaches_every_host(
    fleet_file: FleetFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "roles").mkdir(parents=True)
    before = made_from(fleet_file)
    monkeypatch.setattr("dagfleet.phases.settled.bundle", lambda: bundle)
    assert different(before, made_from(fleet_file)) == set(fleet_file.fleet.hosts)


def test_a_host_is_settled_while_seal_and_state_agree() -> None:
    sealed = replace(report(), seal="inputs state", state="state")
    reports = {
        "same": sealed,
        "touched": replace(sealed, state="another"),
        "new": report(),
        "unsealed": replace(sealed, seal=None),
        "elsewhere": replace(sealed, seal="others state"),
    }
    assert settled(reports, dict.fromkeys(reports, "inputs")) == ["same"]
    assert settled(reports, {}) == []

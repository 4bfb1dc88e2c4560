"""`dagfleet config`: what fleet.yml may say, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagfleet.cli.main import run
from dagfleet.fleet import json_schema, load_fleet
from dagfleet.fleet.reference import part_names

PRACTICE = Path(__file__).parents[3] / "inventory/lab/fleet.yml"
VALUE = "correct-horse-battery"


def shown(capfd: pytest.CaptureFixture[str], fleet_yml: Path, *options: str) -> str:
    assert run(["-f", str(fleet_yml), "config", "show", *options]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    return said.out


@pytest.fixture
def secretive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet.yml whose secrets come from everywhere: the environment, a file, a command, drawn by us."""
    monkeypatch.setenv("WAREHOUSE", VALUE)
    (tmp_path / "passphrase").write_text(VALUE)
    (tmp_path / "ask").write_text(f"touch {tmp_path}/asked; echo demo:{VALUE}\n")
    document = yaml.safe_load(PRACTICE.read_text())
    document["secrets"] |= {
        "warehouse": {"env": "WAREHOUSE"},
        "ca_passphrase": {"file": "passphrase"},
        "web_users": {"command": f"sh {tmp_path}/ask"},
        "postgres_password": {"generated": True},
    }
    path = tmp_path / "fleet.yml"
    path.write_text(yaml.safe_dump(document))
    drawn = tmp_path / ".dagfleet/secrets/postgres_password"
    drawn.parent.mkdir(parents=True)
    drawn.write_text(VALUE)
    return path


def test_what_is_shown_is_a_fleet_file_of_the_same_fleet(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    again = tmp_path / "fleet.yml"
    again.write_text(shown(capfd, PRACTICE))
    assert load_fleet(again).fleet == load_fleet(PRACTICE).fleet
    assert shown(capfd, again) == again.read_text()


def test_defaults_that_the_file_leaves_out_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    said = yaml.safe_load(shown(capfd, PRACTICE))
    assert "port" not in PRACTICE.read_text().replace("reporting", "")
    assert said["control"]["web"]["port"] == 443
    assert said["hosts"]["beta"]["ssh"]["port"] == 22
    assert said["pki"]["leaf_days"] == 90


def test_json_says_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capfd, PRACTICE, "--json")) == yaml.safe_load(shown(capfd, PRACTICE))


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_secret_stays_a_reference_and_nobody_is_asked_for_it(
    capfd: pytest.CaptureFixture[str], secretive: Path, options: tuple[str, ...]
) -> None:
    said = shown(capfd, secretive, *options)
    assert VALUE not in said
    assert not (secretive.parent / "asked").exists()
    told: dict[str, Any] = yaml.safe_load(said)
    assert told["postgres"]["databases"]["warehouse"]["password"] == "secret://warehouse"
    assert told["locations"]["etl"]["env"]["WAREHOUSE_PASSWORD"] == "secret://warehouse"
    assert told["pki"]["passphrase"] == "secret://ca_passphrase"
    assert told["secrets"]["warehouse"] == {"env": "WAREHOUSE"}


def test_a_file_that_cannot_be_used_is_not_shown(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(PRACTICE.read_text().replace("hosts: [delta]", "hosts: [dleta]"))
    assert run(["-f", str(path), "config", "show"]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert 'did you mean "delta"?' in said.err


def test_the_schema_is_one_that_the_practice_fleet_keeps(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    schema = json.loads(capfd.readouterr().out)
    assert schema == json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(yaml.safe_load(PRACTICE.read_text())) <= set(schema["properties"])


def test_every_part_of_the_file_has_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    parts = part_names(json_schema())
    assert "control.web" in parts
    for part in parts:
        assert run(["config", "docs", part]) == 0
        heading = capfd.readouterr().out.splitlines()[0]
        assert heading.replace(".<name>", "") == part


def test_without_a_part_all_of_the_file_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "docs"]) == 0
    lines = capfd.readouterr().out.replace(".<name>", "").splitlines()
    assert [part for part in part_names(json_schema()) if part not in lines] == []


def test_a_part_that_is_mistyped_is_answered_with_the_one_that_was_meant(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["config", "docs", "control.wbe"]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith('fleet.yml has no part "control.wbe".\nDid you mean "control.web"?')

"""What the practice fleet refuses and how it names things, without a Docker Engine."""

from pathlib import Path

import pytest
from dagfleet import lab
from dagfleet.errors import DagfleetError
from dagfleet.fleet import load_fleet
from dagfleet.lab import engine, machine_image
from dagfleet.paths import bundle


def test_a_fleet_with_public_addresses_is_never_taken_for_practice(tmp_path: Path) -> None:
    text = (bundle() / "inventory" / "lab" / "fleet.yml").read_text()
    path = tmp_path / "fleet.yml"
    path.write_text(text.replace("10.89.7.13", "9.9.9.9"))
    with pytest.raises(DagfleetError, match=r"gamma has the address 9\.9\.9\.9"):
        lab.up(load_fleet(path), lambda _title, _seconds: None)


def test_the_machine_image_is_named_after_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine_image.reference()
    monkeypatch.setattr(machine_image, "CACHED", (*machine_image.CACHED, "nano"))
    assert machine_image.reference() != before


def test_a_missing_engine_is_one_sentence_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(DagfleetError) as refused:
        engine.client()
    assert refused.value.message == "no Docker Engine answers on this machine"
    assert refused.value.fix
    assert not engine.answers()

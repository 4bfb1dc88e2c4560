"""Finding fleet.yml, and what a loaded one knows."""

from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import find_fleet_file, load_fleet
from dagfleet.paths import bundle

from tests.unit.fleet.texts import fleet_text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fleet_in(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.yml"
    path.write_text(fleet_text())
    return path


def test_an_option_comes_before_the_environment_and_the_folder(folder: Path) -> None:
    fleet_in(folder)
    assert find_fleet_file(Path("x.yml"), environ={"DAGFLEET_FILE": "y.yml"}) == Path("x.yml")
    assert find_fleet_file(environ={"DAGFLEET_FILE": "y.yml"}) == Path("y.yml")
    assert find_fleet_file(environ={}) == Path("fleet.yml")


def test_the_only_inventory_is_found(folder: Path) -> None:
    fleet_in(folder / "inventory/prod")
    assert find_fleet_file(environ={}) == Path("inventory/prod/fleet.yml")


def test_of_several_inventories_one_must_be_named(folder: Path) -> None:
    fleet_in(folder / "inventory/prod")
    fleet_in(folder / "inventory/lab")
    with pytest.raises(ConfigurationError) as raised:
        find_fleet_file(environ={})
    assert "2 fleet files: inventory/lab/fleet.yml, inventory/prod/fleet.yml" in str(raised.value)
    assert "--file inventory/lab/fleet.yml" in str(raised.value.fix)


@pytest.mark.usefixtures("folder")
def test_no_fleet_file_anywhere_says_how_to_write_one() -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_fleet_file(environ={})
    assert "dagfleet init" in str(raised.value.fix)


def test_state_lies_beside_the_file(folder: Path) -> None:
    fleet_in(folder)
    loaded = load_fleet(Path("fleet.yml"))
    assert loaded.path.is_absolute()
    assert loaded.directory == folder
    assert loaded.state == folder / ".dagfleet"


@pytest.mark.parametrize("name", ["lab", "example"])
def test_a_shipped_fleet_is_correct(name: str) -> None:
    assert load_fleet(bundle() / "inventory" / name / "fleet.yml").fleet.hosts

"""Names follow content: they change when something that is installed changes, and only then."""

import zipfile
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.image import artifacts, control_plane_reference, launcher_package, wheels
from dagfleet.image.wheels import PLUGINS, plugin_digest
from dagfleet.paths import bundle


def changed(fleet_file: FleetFile, old: str, new: str) -> FleetFile:
    fleet_file.path.write_text(fleet_file.path.read_text().replace(old, new))
    return load_fleet(fleet_file.path)


def test_the_control_planes_tag_names_version_and_content(fleet_file: FleetFile) -> None:
    reference = control_plane_reference(fleet_file.fleet)

    repository, tag = reference.split(":")
    version, content = tag.split("-")
    assert (repository, version) == ("dagfleet/control-plane", "1.13.27")
    assert len(content) == 12
    assert control_plane_reference(fleet_file.fleet) == reference


def test_another_base_is_another_control_plane(fleet_file: FleetFile) -> None:
    before = control_plane_reference(fleet_file.fleet)
    other = changed(fleet_file, "name: lab", 'name: lab\nimages: {base: "python:3.11-slim-trixie"}')

    assert control_plane_reference(other.fleet) != before


def test_a_pinned_control_plane_is_used_as_it_is(fleet_file: FleetFile) -> None:
    pinned = changed(fleet_file, "host: alpha,", 'host: alpha, image: "example.com/plane:7",')

    assert control_plane_reference(pinned.fleet) == "example.com/plane:7"


def test_changed_plugin_code_is_another_control_plane(
    fleet_file: FleetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "bundle", lambda: tmp_path / "checkout")
    for folder, package in PLUGINS.items():
        (tmp_path / "checkout" / folder / package).mkdir(parents=True)
        (tmp_path / "checkout" / folder / package / "__init__.py").write_text("old = True\n")
    before = control_plane_reference(fleet_file.fleet)

    (tmp_path / "checkout" / "launcher" / PLUGINS["launcher"] / "__init__.py").write_text("old = False\n")

    assert control_plane_reference(fleet_file.fleet) != before


def test_an_installed_dagfleet_and_its_checkout_name_the_same_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_checkout = plugin_digest()
    (tmp_path / "wheels").mkdir()
    for folder, package in PLUGINS.items():
        with zipfile.ZipFile(tmp_path / "wheels" / f"{package}-0.1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{package}-0.1.0.dist-info/METADATA", "Name: plugin\n")
            for path in sorted((bundle() / folder / package).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    wheel.write(path, path.relative_to(bundle() / folder))
    monkeypatch.setattr(wheels, "bundle", lambda: tmp_path)

    assert plugin_digest() == from_checkout


def test_a_release_is_named_without_being_built(fleet_file: FleetFile, cache: Path) -> None:
    releases = artifacts(fleet_file).process_releases

    assert list(releases) == ["reporting"]
    assert releases["reporting"].archive.name == f"reporting-{releases['reporting'].digest}.tar"
    assert not cache.exists()


@pytest.mark.parametrize("file", ["reporting/defs.py", "pyproject.toml", "requirements.txt"])
def test_changed_sources_or_lock_are_another_release(fleet_file: FleetFile, file: str) -> None:
    before = artifacts(fleet_file).process_releases["reporting"].digest
    path = fleet_file.directory / "reporting" / file

    path.write_text((path.read_text() if path.exists() else "") + "# changed\n")

    assert artifacts(fleet_file).process_releases["reporting"].digest != before


def test_another_python_is_another_release(fleet_file: FleetFile) -> None:
    before = artifacts(fleet_file).process_releases["reporting"].digest

    same = changed(fleet_file, "docker: none", 'docker: none, python: "3.11"')
    assert artifacts(same).process_releases["reporting"].digest == before

    other = changed(same, '"3.11"', '"3.13"')
    assert artifacts(other).process_releases["reporting"].digest != before


@pytest.mark.parametrize(
    "file", ["reporting/__pycache__/defs.pyc", "build/lib/defs.py", "reporting.egg-info/PKG-INFO"]
)
def test_build_products_are_not_another_release(fleet_file: FleetFile, file: str) -> None:
    before = artifacts(fleet_file).process_releases["reporting"].digest
    path = fleet_file.directory / "reporting" / file

    path.parent.mkdir(parents=True)
    path.write_text("made\n")

    assert artifacts(fleet_file).process_releases["reporting"].digest == before


def test_a_path_that_does_not_exist_is_named(fleet_file: FleetFile) -> None:
    other = changed(fleet_file, "./reporting", "./reprting")

    with pytest.raises(ConfigurationError, match="reprting does not exist"):
        artifacts(other)


def test_the_launchers_wheel_is_named_by_its_own_code_and_made_once(
    fleet_file: FleetFile, cache: Path
) -> None:
    planned = artifacts(fleet_file).launcher
    assert not cache.exists()

    made = launcher_package()

    assert made == planned
    with zipfile.ZipFile(made.archive) as wheel:
        assert "dagster_multihost_launcher/compute_logs.py" in wheel.namelist()

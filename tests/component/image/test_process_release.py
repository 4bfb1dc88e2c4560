"""A process location's release is for the Python of the hosts that it goes to."""

import tarfile
from pathlib import Path

import pytest
from dagfleet.fleet import load_fleet
from dagfleet.fleet.versions import HOST_PYTHONS
from dagfleet.image import process_release
from dagfleet.image.uv import run_uv
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

FLEET = """\
version: 1
name: prod
dagster: {version: "1.13.27"}
control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users}}
hosts:
  alpha: {address: 10.0.0.1}
  delta: {address: 10.0.0.2, docker: none}
locations:
  reporting: {hosts: [delta], requirements: [./requirements.txt], module: reporting}
secrets: {web_users: {generated: {users: [ada]}}}
"""


@pytest.fixture
def fleet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet whose process location wants one package, which is compiled for each Python."""
    monkeypatch.setenv("DAGFLEET_CACHE", str(tmp_path / "cache"))
    wanted = tmp_path / "requirements.in"
    wanted.write_text("markupsafe==3.0.2\n")
    run_uv(
        "pip", "compile", "--quiet", "--generate-hashes", "--output-file", str(tmp_path / "requirements.txt"),
        str(wanted), doing="locking the package",
    )  # fmt: skip
    return tmp_path / "fleet.yml"


@pytest.mark.parametrize("python", HOST_PYTHONS)
def test_every_wheel_of_a_release_fits_the_python_that_it_is_for(fleet_file: Path, python: str) -> None:
    fleet_file.write_text(FLEET.replace("docker: none", f'docker: none, python: "{python}"'))

    release = process_release(load_fleet(fleet_file), "reporting")

    with tarfile.open(release.archive) as archive:
        wheels = [name for name in archive.getnames() if name.endswith(".whl")]
    major, minor = map(int, python.split("."))
    fitting = {
        (tag.interpreter, tag.abi)
        for tag in (*cpython_tags((major, minor), platforms=["any"]), *compatible_tags((major, minor)))
    }
    assert len(wheels) == 3, "the package and two plugins"
    for wheel in wheels:
        _, _, _, tags = parse_wheel_filename(wheel)
        assert fitting & {(tag.interpreter, tag.abi) for tag in tags}, wheel

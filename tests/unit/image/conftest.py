"""A fleet file whose one location runs as a process."""

from pathlib import Path

import pytest
from dagfleet.fleet import FleetFile, load_fleet

FLEET = """\
version: 1
name: lab
dagster: {version: "1.13.27"}
control: {host: alpha, web: {hostname: dagster.lab, users: "secret://web_users"}}
hosts:
  alpha: {address: 10.0.0.1}
  delta: {address: 10.0.0.2, docker: none}
locations:
  reporting: {hosts: [delta], requirements: [./reporting], module: reporting.defs}
secrets: {web_users: {generated: {users: [demo]}}}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("DAGFLEET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fleet_file(tmp_path: Path) -> FleetFile:
    package = tmp_path / "reporting" / "reporting"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "defs.py").write_text("ANSWER = 42\n")
    (tmp_path / "reporting" / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "reporting"\nversion = "1.0"\n'
    )
    (tmp_path / "fleet.yml").write_text(FLEET)
    return load_fleet(tmp_path / "fleet.yml")

"""What an upgrade refuses while nothing is touched: code that has another Dagster than the fleet will."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import FleetFile
from dagfleet.phases import fitting
from dagfleet.phases.fitting import Fit
from dagfleet.phases.work import Work

from tests.unit.phases.conftest import Heard

LOCK = "dagster=={} \\\n    --hash=sha256:00\ndagster-postgres=={} \\\n    --hash=sha256:00\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, fleet_file: FleetFile) -> dict[str, dict[str, str]]:
    """What the images have, by name; nothing is built or sent. The real ones: tests/e2e/test_upgrade.py."""
    found = {"etl:1": {"dagster": "1.13.27", "dagster-postgres": "0.29.27"}}

    def packages(_wanted: FleetFile, images: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
        assert images == {"beta": ["etl:1"]}
        return found

    monkeypatch.setattr(fitting, "_packages", packages)
    monkeypatch.setattr(fitting, "build_releases", lambda _wanted, _now: [])
    monkeypatch.setattr(fitting, "send", lambda _wanted, _images, _now: [])
    (fleet_file.directory / "reporting" / "requirements.txt").write_text(LOCK.format("1.13.27", "0.29.27"))
    return found


def test_images_and_locks_of_the_wanted_dagster_pass(
    work: Work, asked: dict[str, dict[str, str]], heard: Heard
) -> None:
    assert asked
    Fit(work.fleet_file, {}).run(work)
    assert heard.lines == ["images: all fit Dagster 1.13.27"]


def test_all_that_does_not_fit_is_named_at_once_with_what_to_do(
    work: Work, asked: dict[str, dict[str, str]]
) -> None:
    asked["etl:1"] = {"dagster": "1.12.22", "dagster-postgres": "0.28.22"}
    lock = work.fleet_file.directory / "reporting" / "requirements.txt"
    lock.write_text(LOCK.format("1.13.27", "0.11.14"))
    with pytest.raises(ConfigurationError) as told:
        Fit(work.fleet_file, {}).run(work)
    assert told.value.message.splitlines() == [
        "not everything is ready for Dagster 1.13.27:",
        "  location reporting: it has dagster-postgres 0.11.14 beside dagster 1.13.27, whose release has "
        "dagster-postgres 0.29.27 in its requirements",
        "      lock them again with dagster==1.13.27",
        "  location etl: it has Dagster 1.12.22 in image etl:1",
        "      name one that fits: dagfleet upgrade 1.13.27 --image etl=REF",
    ]
    assert not work.touched


def test_a_process_without_a_lock_of_its_own_follows_the_fleet(
    work: Work, asked: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked
    (work.fleet_file.directory / "reporting" / "requirements.txt").unlink()
    resolved: list[str] = []

    def uv(*arguments: str, doing: str) -> None:
        resolved.append(Path(arguments[arguments.index("--constraints") + 1]).name)
        Path(arguments[arguments.index("--output-file") + 1]).write_text(LOCK.format("1.13.27", "0.29.27"))
        assert doing

    monkeypatch.setenv("DAGFLEET_CACHE", str(work.fleet_file.state / "cache"))
    monkeypatch.setattr("dagfleet.image.sources.run_uv", uv)
    (work.fleet_file.directory / "reporting" / "defs.py").write_text("")
    Fit(work.fleet_file, {}).run(work)
    assert resolved == ["control-plane.in"]


def test_the_question_is_answered_by_any_python_that_has_dagster() -> None:
    said = subprocess.run(
        ["sh", "-c", fitting._IN_ITS_PYTHON, "sh", fitting._PACKAGES],
        capture_output=True, text=True, check=True,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    ).stdout  # fmt: skip
    packages = json.loads(said)
    assert (packages["dagster"], packages["dagster-postgres"]) == ("1.13.27", "0.29.27")

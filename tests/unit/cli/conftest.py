from pathlib import Path

import pytest

from tests.unit.phases.conftest import FLEET


@pytest.fixture
def fleet_yml(tmp_path: Path) -> str:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET)
    return str(path)


@pytest.fixture(autouse=True)
def no_fleet_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGFLEET_FILE", raising=False)

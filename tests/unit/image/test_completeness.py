"""A lock that lacks what the project asks for is found before anything is built from it."""

import zipfile
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.image.environment import require_complete, wheel_environment
from dagfleet.image.target import Target

pytestmark = pytest.mark.usefixtures("cache")


def wheel(folder: Path, name: str, requires: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def test_a_complete_lock_passes(tmp_path: Path) -> None:
    library = wheel(tmp_path / "wheels", "library")
    project = wheel(tmp_path / "project", "reporting", requires="library>=1")
    installed = wheel_environment([library], Target(), tmp_path / "tree")

    require_complete(project, Target(), installed=installed)
    require_complete(project, Target(), wheels=tmp_path / "wheels")


@pytest.mark.parametrize(
    ("requires", "told"), [("absent", "absent was not found"), ("library>=2", "library>=2")]
)
def test_a_stale_lock_is_refused_with_what_it_lacks(tmp_path: Path, requires: str, told: str) -> None:
    library = wheel(tmp_path / "wheels", "library")
    project = wheel(tmp_path / "project", "reporting", requires=requires)
    installed = wheel_environment([library], Target(), tmp_path / "tree")

    for place in ({"installed": installed}, {"wheels": tmp_path / "wheels"}):
        with pytest.raises(ConfigurationError, match=r"requirements\.txt of reporting lacks") as raised:
            require_complete(project, Target(), **place)
        assert told in raised.value.message

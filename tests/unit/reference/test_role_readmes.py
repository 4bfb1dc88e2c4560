"""The variables in the READMEs of roles, written from their argument_specs."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a copy of the roles to work on."""
    spec = importlib.util.spec_from_file_location("readmes", ROOT / "scripts/generate_role_readmes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    monkeypatch.setattr(module, "ROLES", tmp_path / "roles")
    return module


def test_the_readmes_are_current(generator: ModuleType) -> None:
    assert generator.main(["--check"]) == 0


def test_a_changed_default_makes_its_readme_stale_and_writing_it_again_does_not_touch_the_prose(
    generator: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    role = generator.ROLES / "mesh"
    before = (role / "README.md").read_text()
    defaults = role / "defaults/main.yml"
    defaults.write_text(defaults.read_text().replace("mesh_maxconn: 8000", "mesh_maxconn: 9000"))

    assert generator.main(["--check"]) == 1
    assert "roles/mesh/README.md does not say what its argument_specs say" in capsys.readouterr().out
    assert generator.main([]) == 0

    assert (role / "README.md").read_text() == before.replace("`8000`", "`9000`")
    assert generator.main(["--check"]) == 0


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_every_argument_has_a_row_in_the_readme(role: str) -> None:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    page = (ROOT / "roles" / role / "README.md").read_text()
    names = [name for spec in specs.values() for name in spec.get("options", {})]
    assert [name for name in names if f"| `{name}` |" not in page] == []

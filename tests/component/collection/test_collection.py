"""The repository as an Ansible collection: built, installed and used offline, away from the repository."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.unit.fleet.texts import fleet_text

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ("LICENSE", "CHANGELOG.md", "README.md", "meta/runtime.yml", "roles", "playbooks", "plugins")

# None may come in: a build machine's leftovers, an operator's state, an editor's copies.
STRAYS = (
    "roles/base/.vault-password",
    "roles/base/.dagfleet/ca.key",
    "roles/base/tasks/main.yml~",
    "playbooks/passwords.txt",
    "plugins/lookup/__pycache__/stray.cpython-311.pyc",
    ".dagfleet/secrets/warehouse",
    ".build/wheels/stray.whl",
    "tests/stray.py",
)

# A role by its full name, one that uses another of the collection, and a secret by the collection's lookup.
PLAY = """
- hosts: beta
  connection: local
  gather_facts: false
  roles:
    - role: dagfleet.fleet.base
  tasks:
    - ansible.builtin.debug:
        msg: "{{ code_server_locations[0].secret_environment.PASSWORD }}"

- hosts: alpha
  connection: local
  gather_facts: false
  roles:
    - role: dagfleet.fleet.control_plane
"""

LOCATIONS = """
locations:
  etl: {hosts: [beta], image: "etl:1", module: etl.defs, env: {PASSWORD: secret://warehouse}}
"""


def run(
    tool: str, *arguments: str | Path, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's commands in `folder`, with the collection in it and no other settings."""
    (folder / "ansible.cfg").write_text(
        "[defaults]\ninterpreter_python = /usr/bin/python3\n"
        "[inventory]\nenable_plugins = dagfleet.fleet.dagfleet\nunparsed_is_failed = True\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name(tool)), *map(str, arguments)],
        cwd=folder,
        env={
            **kept,
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_GALAXY_SERVER": "https://nowhere.invalid",
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def built(source: Path, folder: Path) -> Path:
    """Build the collection in `source` and return the archive."""
    done = run("ansible-galaxy", "collection", "build", source, "--output-path", folder, folder=folder)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("dagfleet-fleet-*.tar.gz")
    return archive


def tracked(*paths: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {name for name in listed.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from a copy of the repository that holds strays as well."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in tracked(*SHIPPED, "galaxy.yml"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    for name in STRAYS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("stray")
    return built(source, folder)


@pytest.fixture(scope="module")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fleet.yml and the collection installed beside it."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "fleet.yml").write_text(fleet_text(locations=LOCATIONS))
    done = run(
        "ansible-galaxy", "collection", "install", "--offline", archive, "-p", folder / "collections",
        folder=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "dagfleet.fleet:0.1.0 was installed successfully" in done.stdout
    return folder


def test_the_archive_has_roles_playbooks_and_plugins_and_nothing_else(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        files = {member.name for member in tar.getmembers() if not member.isdir()}
    assert files - {"MANIFEST.json", "FILES.json"} == tracked(*SHIPPED)


def test_its_version_is_dagfleets() -> None:
    project = tomllib.loads((ROOT / "provision/pyproject.toml").read_text())["project"]
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == project["version"]


def test_every_collection_that_roles_and_playbooks_name_is_a_dependency() -> None:
    named = set()
    for name in tracked("roles", "playbooks"):
        named.update(re.findall(r"\b((?:community|ansible)\.[a-z]+)\.[a-z_]+", (ROOT / name).read_text()))
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert named - {"ansible.builtin"} == set(galaxy["dependencies"])


def test_its_plugins_read_fleet_yml_and_name_secrets_so_that_ansible_finds_them(folder: Path) -> None:
    done = run("ansible-inventory", "-i", "fleet.yml", "--list", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    secret = hosts["beta"]["code_server_locations"][0]["secret_environment"]["PASSWORD"]
    assert secret == "{{ lookup('dagfleet.fleet.dagfleet_secret', 'warehouse') }}"
    assert "lookup('dagfleet_secret'" not in done.stdout


def test_its_roles_run_by_their_full_names(folder: Path) -> None:
    (folder / "play.yml").write_text(PLAY)
    done = run(
        "ansible-playbook", "-i", "fleet.yml", "--check", "play.yml",
        folder=folder,
        environment={"WAREHOUSE": "hunter2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TASK [dagfleet.fleet.base : Look at what is there]" in done.stdout
    assert (
        "TASK [dagfleet.fleet.code_server : Install the scripts that start and exchange code servers]"
        in done.stdout
    )
    assert '"msg": "hunter2"' in done.stdout


def test_its_playbooks_find_their_roles(folder: Path) -> None:
    playbooks = sorted(f"dagfleet.fleet.{path.stem}" for path in (ROOT / "playbooks").glob("*.yml"))
    done = run("ansible-playbook", "-i", "fleet.yml", "--list-tasks", *playbooks, folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("/dagfleet/fleet/playbooks/") == len(playbooks)


def test_a_tag_chooses_a_role(folder: Path) -> None:
    done = run(
        "ansible-playbook", "-i", "fleet.yml", "--list-tasks", "--tags", "mesh", "dagfleet.fleet.site",
        folder=folder,
    )  # fmt: skip
    tasks = re.findall(r"^      (\S.*)\tTAGS: \[.*\]$", done.stdout, re.MULTILINE)
    # Ansible checks every role's arguments, whatever is chosen.
    chosen = [name for name in tasks if " : Validating arguments " not in name]
    assert len(chosen) > 5
    assert all(name.startswith("dagfleet.fleet.mesh : ") for name in chosen), done.stdout

"""fleet.yml as an Ansible inventory, read by Ansible itself."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagfleet.paths import bundle
from passlib.hash import sha512_crypt

from tests.unit.fleet.texts import fleet_text

LOCATIONS = """
locations:
  etl:
    hosts: [beta]
    image: etl:1
    module: etl.defs
    env: {PLAIN: "{{ 6 * 7 }}", PASSWORD: secret://warehouse}
"""

# Writes what tasks on beta and alpha see, templates evaluated.
PLAYBOOK = """
- hosts: localhost
  connection: local
  tasks:
    - ansible.builtin.copy:
        dest: "{{ folder }}/seen.json"
        mode: "0600"
        content: "{{ {'etl': hostvars.beta.code_server_locations[0], 'users': hostvars.alpha.mesh_web_users,
                      'team': hostvars.beta.team, 'site': hostvars.beta.site} | to_json }}"
"""


def ansible(tool: str, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's commands from the repository's root, with its ansible.cfg."""
    return subprocess.run(
        [str(Path(sys.executable).with_name(tool)), *map(str, arguments)],
        cwd=bundle(),
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(bundle() / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fleet_in(tmp_path)


def fleet_in(folder: Path) -> Path:
    (folder / "fleet.yml").write_text(fleet_text(locations=LOCATIONS))
    for name, text in {
        "host_vars/beta.yml": "team: weather\n",
        "group_vars/docker_hosts.yml": "site: north\n",
        "etl/deploy.yml": "evil: {hosts: {intruder: {}}}\n",
        "etl/defs.py": '"""One host."""\n',
        ".dagfleet/pki/hosts.yml": "evil: {hosts: {intruder: {}}}\n",
        "compose.yml": "evil: {hosts: {intruder: {}}}\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `ansible-inventory --list` says."""
    return listing(fleet_in(tmp_path_factory.mktemp("a fleet")))


def listing(source: Path) -> dict[str, Any]:
    done = ansible("ansible-inventory", "-i", source, "--list")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ssh_setting(variables: dict[str, Any], name: str) -> str:
    """Return what ssh makes of a host's arguments."""
    arguments = shlex.split(variables["ansible_ssh_common_args"])
    shown = subprocess.run(
        ["ssh", "-G", *arguments, "beta"], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)[name]


def test_the_example_is_an_inventory_without_warnings() -> None:
    done = ansible("ansible-inventory", "-i", "inventory/example", "--graph")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_practice_fleet_is_an_inventory_without_warnings() -> None:
    done = ansible("ansible-inventory", "-i", "inventory/lab", "--graph")
    assert done.returncode == 0
    assert done.stderr == ""
    graph = done.stdout.replace(" ", "")
    assert "@control:\n||--alpha\n" in graph
    assert "@docker_hosts:\n||--alpha\n||--beta\n||--gamma\n" in graph
    assert "@process_hosts:\n||--delta\n" in graph


def test_each_host_has_its_connection_and_its_roles_variables(listed: dict[str, Any]) -> None:
    beta = listed["_meta"]["hostvars"]["beta"]
    folder = Path(beta["dagfleet_file"]).parent
    assert beta["ansible_host"] == "10.0.1.2"
    assert ssh_setting(beta, "userknownhostsfile") == f"{folder}/.dagfleet/known_hosts"
    assert ssh_setting(beta, "stricthostkeychecking") == "true"
    assert beta["mesh_certificates_source"] == f"{folder}/.dagfleet/pki/leaves/beta"
    assert beta["mesh_authorities_source"] == f"{folder}/.dagfleet/pki"
    assert set(beta["base_record"]) == {"release", "config_hash", "applied_by"}


def test_only_fleet_yml_of_a_folder_names_hosts(listed: dict[str, Any]) -> None:
    assert set(listed["_meta"]["hostvars"]) == {"alpha", "beta", "gamma", "delta"}


def test_listing_an_inventory_resolves_no_secret(listed: dict[str, Any]) -> None:
    beta = listed["_meta"]["hostvars"]["beta"]
    (etl,) = beta["code_server_locations"]
    assert etl["secret_environment"]["PASSWORD"] == "{{ lookup('dagfleet_secret', 'warehouse') }}"
    assert not (Path(beta["dagfleet_file"]).parent / ".dagfleet/secrets").exists()


def test_tasks_see_secrets_resolved_users_hashed_and_plain_text_untouched(folder: Path) -> None:
    (folder / "see.yaml").write_text(PLAYBOOK)
    done = ansible(
        "ansible-playbook",
        "-i",
        folder,
        folder / "see.yaml",
        "-e",
        f"folder={folder} ansible_python_interpreter={sys.executable}",
        WAREHOUSE="hunter2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((folder / "seen.json").read_text())
    assert seen["etl"]["secret_environment"] == {"PASSWORD": "hunter2"}
    assert seen["etl"]["environment"]["PLAIN"] == "{{ 6 * 7 }}"
    assert (seen["team"], seen["site"]) == ("weather", "north")
    user, _, password = (folder / ".dagfleet/secrets/web_users").read_text().strip().partition(":")
    assert seen["users"].startswith(f"{user}:$6$")
    assert sha512_crypt.verify(password, seen["users"].partition(":")[2])


def test_a_secret_that_does_not_resolve_stops_the_play_with_its_name(folder: Path) -> None:
    (folder / "see.yaml").write_text(PLAYBOOK)
    done = ansible(
        "ansible-playbook", "-i", folder / "fleet.yml", folder / "see.yaml", "-e", f"folder={folder}"
    )
    assert done.returncode != 0
    assert 'secret "warehouse": the environment variable WAREHOUSE is not set' in done.stdout + done.stderr
    assert "export WAREHOUSE=..." in done.stdout + done.stderr


def test_a_fleet_file_with_mistakes_stops_ansible_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(fleet_text(name="nmae: prod", pki="pki: {leaf_days: 0}"))
    done = ansible("ansible-inventory", "-i", tmp_path, "--graph")
    assert done.returncode != 0
    assert 'nmae  unknown key; did you mean "name"?' in done.stderr
    assert "pki.leaf_days  must be 1 or more, not 0" in done.stderr
    assert "No inventory was parsed" in done.stderr


def test_hosts_of_terraform_are_in_the_inventory(tmp_path: Path) -> None:
    machines = {
        "name": "prod",
        "control": {"host": "alpha"},
        "hosts": {"alpha": {"address": "10.0.1.1"}, "beta": {"address": "10.0.1.2", "ssh": {"user": "ops"}}},
    }
    contract = {"dagfleet": {"value": {"version": 1, "fleet": machines}}}
    (tmp_path / "contract").write_text(json.dumps(contract))
    (tmp_path / "fleet.yml").write_text(
        fleet_text(
            name="terraform: contract",
            control="control: {web: {hostname: dagster.example.com, users: secret://web_users}}",
            hosts=None,
            locations=LOCATIONS,
        )
    )
    listed = listing(tmp_path / "fleet.yml")
    assert listed["control"] == {"hosts": ["alpha"]}
    hosts = listed["_meta"]["hostvars"]
    assert hosts["beta"]["ansible_user"] == "ops"
    assert hosts["alpha"]["base_fleet_addresses"] == ["10.0.1.1", "10.0.1.2"]
    assert hosts["beta"]["base_fleet_addresses"] == ["10.0.1.1"], "only the control host comes to others"


def test_other_yaml_inventories_still_work(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("web: {hosts: {one: {}}}\n")
    assert listing(tmp_path / "hosts.yml")["web"] == {"hosts": ["one"]}


def test_what_an_upgrade_wants_is_an_inventory_of_its_own(folder: Path) -> None:
    text = (folder / "fleet.yml").read_text()
    (folder / "fleet.upgrade.yml").write_text(text.replace("etl:1", "etl:2"))
    for name, image in (("fleet.yml", "etl:1"), ("fleet.upgrade.yml", "etl:2")):
        beta = listing(folder / name)["_meta"]["hostvars"]["beta"]
        assert [each["image"] for each in beta["code_server_locations"]] == [image]

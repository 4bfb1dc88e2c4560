"""Bring a small fleet to what the plays make of it, by Ansible alone; print how many tasks changed something.

usage: apply.py DIRECTORY HOST... [--release REF]
DIRECTORY has Molecule's ssh_key and known_hosts, REF is a commit whose roles and plays are used.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dagfleet.paths import bundle

HERE = Path(__file__).resolve().parent
ADDRESSES = {"alpha": "10.213.12.10", "beta": "10.213.12.11", "gamma": "10.213.12.12"}
IMAGE = "dagfleet-molecule/measuring:1"
SECRET = 'it\'s $HOME, `id`, "quoted" \\ and\nlong '


def main(directory: Path, hosts: list[str], release: str | None = None) -> None:
    """Write fleet.yml, sign what hosts ask for, give them images and apply the site's plays."""
    folder = directory / "fleet"
    state = folder / ".dagfleet"
    state.mkdir(parents=True, exist_ok=True)
    shutil.copy(directory / "ssh_key", folder / "ssh_key")
    shutil.copy(directory / "known_hosts", state / "known_hosts")
    (folder / "fleet.yml").write_text(json.dumps(fleet(hosts)))
    root = bundle() if release is None else earlier(release, directory / f"release-{release}")
    changed = play(root, folder, "certificates")
    wanted = {host: variables["mesh_certificates"] for host, variables in inventory(root, folder).items()}
    script("sign.py", str(state / "pki"), stdin=json.dumps(wanted))
    changed += play(root, folder, "hosts")
    images(hosts)
    changed += play(root, folder, "services") + play(root, folder, "record")
    print(changed)


def fleet(hosts: list[str]) -> dict[str, object]:
    """Return fleet.yml: alpha controls, the others run one location."""
    return {
        "version": 1,
        "name": "molecule",
        "dagster": {"version": "1.13.27"},
        "control": {"host": "alpha", "web": {"hostname": "dagster.test", "users": "secret://users"}},
        "hosts": {
            host: {"address": ADDRESSES[host], "ssh": {"user": "ops", "key": "ssh_key"}} for host in hosts
        },
        "locations": {
            "measuring": {
                "hosts": [host for host in hosts if host != "alpha"],
                "image": IMAGE,
                "python_file": "/location/definitions.py",
                "env": {"PLAIN": "plain $text", "SECRET": "secret://secret"},
            }
        },
        "docker": {"images": "push"},
        "images": {"base": "dagfleet-lab/python:1"},
        "firewall": {"operators": ["10.213.12.1"]},
        "secrets": {"users": {"generated": {"users": ["ada"]}}, "secret": {"env": "SECRET"}},
    }


def earlier(release: str, root: Path) -> Path:
    """Return the repository as it was at a commit."""
    if not root.exists():
        root.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", release], cwd=bundle(), capture_output=True, check=True)
        subprocess.run(["tar", "--extract", "--directory", str(root)], input=archive.stdout, check=True)
    return root


def play(root: Path, folder: Path, playbook: str) -> int:
    """Run one of the repository's playbooks; return how many tasks changed something."""
    done = ansible(root, "ansible-playbook", "-i", folder / "fleet.yml", root / f"playbooks/{playbook}.yml")
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return sum(map(int, re.findall(r"changed=(\d+)", done.stdout)))


def inventory(root: Path, folder: Path) -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return each host's variables."""
    done = ansible(root, "ansible-inventory", "-i", folder / "fleet.yml", "--list")
    found: dict[str, dict[str, list[dict[str, object]]]] = json.loads(done.stdout)["_meta"]["hostvars"]
    return found


def ansible(root: Path, tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name(tool)), *map(str, arguments)],
        cwd=root,
        env={**kept, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "SECRET": SECRET},
        capture_output=True,
        text=True,
        check=False,
    )


def images(hosts: list[str]) -> None:
    """Give each host's Docker the images that it lacks."""
    control = script("seed.py", "--name")
    for host in hosts:
        machine = f"dagfleet-molecule-fleet-{host}"
        image, *folder = [control] if host == "alpha" else [IMAGE, str(HERE.parent / "location"), IMAGE]
        there = ["docker", "exec", machine, "docker", "image", "inspect", image]
        if subprocess.run(there, capture_output=True, check=False).returncode:
            script("seed.py", machine, *folder)


def script(name: str, *arguments: str, stdin: str = "") -> str:
    """Run a script of the folder above; return the last line that it prints."""
    command = [sys.executable, str(HERE.parent / name), *arguments]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, text=True, check=True)
    return (done.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    named, _, commit = " ".join(sys.argv[2:]).partition("--release")
    main(Path(sys.argv[1]), named.split(), commit.strip() or None)

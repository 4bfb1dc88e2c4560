"""Bring a small fleet to what the plays make of it, by Ansible alone; print how many tasks changed something.

usage: apply.py DIRECTORY HOST... [--release REF]
DIRECTORY has Molecule's ssh_key and known_hosts. REF is a commit whose roles, plays, package and images
are used instead of today's.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dagfleet.paths import bundle, cache

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
    root = bundle() if release is None else earlier(release, directory / "previous")
    changed = play(root, folder, "certificates")
    wanted = {host: variables["mesh_certificates"] for host, variables in inventory(root, folder).items()}
    script(root, "sign.py", str(state / "pki"), stdin=json.dumps(wanted))
    changed += play(root, folder, "hosts")
    images(root, hosts)
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
    packed = subprocess.run(["git", "archive", release], cwd=bundle(), capture_output=True, check=False)
    if packed.returncode:
        sys.exit(
            f"This clone has no commit {release}, the release to upgrade from: fetch the whole history "
            "(git fetch --unshallow), or name another one in DAGFLEET_PREVIOUS."
        )
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", "--directory", str(root)], input=packed.stdout, check=True)
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
    return subprocess.run(
        [str(Path(sys.executable).with_name(tool)), *map(str, arguments)],
        cwd=root,
        env={**environment(root), "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def environment(root: Path) -> dict[str, str]:
    """Return the variables with which Python finds that repository's own package first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {**kept, "PYTHONPATH": str(root / "provision"), "DAGFLEET_CACHE": str(cache()), "SECRET": SECRET}


def images(root: Path, hosts: list[str]) -> None:
    """Give each host's Docker the images that it lacks."""
    control = script(root, "seed.py", "--name")
    for host in hosts:
        machine = f"dagfleet-molecule-fleet-{host}"
        image, *folder = [control] if host == "alpha" else [IMAGE, str(HERE.parent / "location"), IMAGE]
        there = ["docker", "exec", machine, "docker", "image", "inspect", image]
        if subprocess.run(there, capture_output=True, check=False).returncode:
            script(root, "seed.py", machine, *folder)


def script(root: Path, name: str, *arguments: str, stdin: str = "") -> str:
    """Run a script of the repository's scenarios; return the last line that it prints."""
    command = [sys.executable, str(root / "tests" / "molecule" / name), *arguments]
    done = subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, check=True, env=environment(root)
    )
    return (done.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    named, _, commit = " ".join(sys.argv[2:]).partition("--release")
    main(Path(sys.argv[1]), named.split(), commit.strip() or None)

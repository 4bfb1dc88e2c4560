"""Practice fleets of any size, and what somebody does with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[3]
BINARIES = ROOT / ".venv/bin"
NETWORK = "10.89.48"
# What site.yml cannot be started without; everything else is as Ansible comes: five forks, no pipelining.
DEFAULTS = f"""[defaults]
roles_path = {ROOT}/roles
inventory_plugins = {ROOT}/plugins/inventory
lookup_plugins = {ROOT}/plugins/lookup
interpreter_python = /usr/bin/python3
[inventory]
enable_plugins = dagfleet, plain_yaml, ansible.builtin.host_list
ignore_patterns = ^(?!.*\\.ya?ml$)
"""


class Fleet:
    """The practice fleet's files with one control host and Docker hosts that share a location."""

    def __init__(self, folder: Path, size: int, name: str | None = None) -> None:
        self.folder = folder
        self.state = folder / ".dagfleet"
        self._name = name or f"bench-{size}"
        # A tag of its own: another fleet's build would move a shared one under it.
        self.image = f"dagfleet-lab/etl:{self._name}"
        shutil.copytree(
            ROOT / "inventory/lab", folder, ignore=shutil.ignore_patterns(".dagfleet", "__pycache__")
        )
        (folder / "plain.cfg").write_text(DEFAULTS)
        self.resize(size)

    def resize(self, size: int) -> None:
        """Write fleet.yml with so many hosts."""
        yaml = YAML()
        wanted = yaml.load(ROOT / "inventory/lab/fleet.yml")
        ssh = wanted["hosts"]["alpha"]["ssh"]
        workers = [f"worker-{number}" for number in range(1, size)]
        self.hosts = {name: f"{NETWORK}.{last}" for last, name in enumerate(("alpha", *workers), start=11)}
        wanted["name"] = self._name
        wanted["hosts"] = {
            name: {"address": address, "ssh": dict(ssh)} for name, address in self.hosts.items()
        }
        wanted["locations"] = {"etl": {**wanted["locations"]["etl"], "hosts": workers, "image": self.image}}
        wanted["firewall"]["operators"] = [f"{NETWORK}.1"]
        yaml.dump(wanted, self.folder / "fleet.yml")

    @contextmanager
    def machines(self) -> Iterator[None]:
        """Bring up a machine for each host; remove them all in the end."""
        try:
            self.dagfleet("lab", "up")
            yield
        finally:
            self.dagfleet("lab", "down")

    def dagfleet(self, *arguments: str, code: int = 0) -> float:
        """Run a command and return its seconds."""
        return self._timed([str(BINARIES / "dagfleet"), *arguments], code)

    def plain_ansible(self) -> float:
        """Play site.yml with ansible-playbook and its default settings; return the seconds."""
        command = [str(BINARIES / "ansible-playbook"), "-i", ".", str(ROOT / "playbooks/site.yml")]
        return self._timed(command, 0, ANSIBLE_CONFIG=str(self.folder / "plain.cfg"))

    def floor(self, hosts: int | None = None) -> float:
        """Do nothing over SSH on the first so many hosts, or on each, on all at once; return the seconds."""
        began = time.monotonic()
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            entered = [
                pool.submit(subprocess.run, self.ssh(host, "true"), check=True)
                for host in [*self.hosts][:hosts]
            ]
            for each in entered:
                each.result()
        return time.monotonic() - began

    def ssh(self, host: str, line: str) -> list[str]:
        """Return the command that runs a line of shell on a host, as its login user."""
        return [
            "ssh", "-F", "none", "-i", str(self.state / "lab/id_ed25519"), "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self.state / 'known_hosts'}", f"ops@{self.hosts[host]}", line,
        ]  # fmt: skip

    def _timed(self, command: Sequence[str], code: int, **environment: str) -> float:
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        if done.returncode != code:
            said = done.stdout[-3000:] + done.stderr
            sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}:\n{said}")
        return seconds

"""The smallest fleet: a control host and a host that runs containers, and ways to disturb its operator."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.e2e.deployed import APPLY_SECONDS, NETWORK, DeployedFleet, Operator, own_image

# Ansible and mitogen begin sessions of their own; what they have in their environment they keep.
MARK = "E2E_STARTED_BY"
PAIR_NETWORK = NETWORK + 1 if os.environ.get("E2E_NETWORK") else 21
# Transient units and those of timers come and go by themselves; an invocation id tells a restart.
STATE = """
find /etc -xdev -printf '%p %M %u %g %l\\n' | sort
find /etc -xdev -type f -exec sha256sum {} + | sort -k 2
systemctl list-unit-files --no-legend --plain
systemctl show -p Id -p ActiveState -p InvocationID docker containerd haproxy ssh
systemctl show -p Id -p ActiveState -p InvocationID postgresql pgbouncer dagfleet-firewall
find /var/lib/dagfleet /opt /usr/local -xdev -mindepth 1 ! -path '/var/lib/dagfleet/*lock*' \\
    ! \\( -path '*/dagster_home/*' ! -name '*.yaml' \\) -printf '%p %M %s %T@\\n' 2>/dev/null | sort
if command -v docker >/dev/null; then
    docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Image}} {{.State}} {{.CreatedAt}}' | sort
    docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort
    docker network ls --no-trunc --format '{{.ID}} {{.Name}}' | sort
fi
true
"""


class Pair(DeployedFleet):
    NAME: ClassVar = f"e2e-pair-{PAIR_NETWORK}"
    IMAGE: ClassVar = own_image(NAME)
    ADDRESSES: ClassVar = {"alpha": f"10.89.{PAIR_NETWORK}.11", "beta": f"10.89.{PAIR_NETWORK}.12"}

    def state(self) -> dict[str, list[str]]:
        """Everything that an apply writes: /etc with hashes, what runs since when, containers, images."""
        return {host: self.sh(host, STATE).splitlines() for host in self.ADDRESSES}

    @contextlib.contextmanager
    def file_with(self, old: str, new: str) -> Iterator[None]:
        """Have fleet.yml say something else for a while."""
        path = self.operator.folder / "fleet.yml"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        try:
            yield
        finally:
            path.write_text(before)


def write_pair(operator: Operator, firewall: Callable[[Any], None] = lambda _firewall: None) -> None:
    """Leave two hosts of the practice fleet in fleet.yml; `firewall` may change that part of it."""
    path = operator.folder / "fleet.yml"
    document = yaml.safe_load(path.read_text())
    firewall(document["firewall"])
    for host in ("gamma", "delta"):
        del document["hosts"][host]
    del document["locations"]["reporting"]
    document["locations"]["etl"]["hosts"] = ["beta"]
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@dataclass
class Working:
    """A command at work: what it has said and logged so far."""

    process: subprocess.Popen[str]
    mark: str
    logs: Path
    said: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "".join(self.said)

    @property
    def logged(self) -> str:
        """Its log file, which has every task."""
        return "".join(path.read_text() for path in self.logs.glob(f"*-{self.process.pid}-*.log"))

    def until(self, reached: Callable[["Working"], bool]) -> None:
        """Wait for a moment in its work; fails when it ends before."""
        deadline = time.monotonic() + APPLY_SECONDS
        while not reached(self):
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill its process group as the kernel does when memory is short: nothing can be tidied up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def orphans(self) -> list[str]:
        """What it has started and still works, also what began a session of its own."""
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}\0" in environment.read_text(errors="replace"):
                    found.append(environment.with_name("cmdline").read_text().replace("\0", " "))
        return found

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; return the exit code, what it said, and its errors."""
        _, errors = self.process.communicate(timeout=APPLY_SECONDS)
        return self.process.returncode, self.output, errors


def start(fleet: DeployedFleet, *arguments: str) -> Working:
    """Start a command and follow what it says."""
    mark = str(uuid.uuid4())
    working = Working(fleet.operator.start(*arguments, **{MARK: mark}), mark, fleet.operator.state / "logs")
    stdout = working.process.stdout
    assert stdout is not None
    # communicate() must find it read to its end by us.
    working.process.stdout = None
    threading.Thread(target=lambda: working.said.extend(stdout), daemon=True).start()
    return working


def says(pattern: str) -> Callable[[Working], bool]:
    """A moment: a line of the output begins like this."""
    return lambda working: bool(re.search(f"(?m)^{pattern}", working.output))


def logs(pattern: str) -> Callable[[Working], bool]:
    """A moment: this stands in the log."""
    return lambda working: bool(re.search(pattern, working.logged))

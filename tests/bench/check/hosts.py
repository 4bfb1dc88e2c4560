"""Hosts with sshd and nothing else: twenty with systemd do not all come up on one kernel here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from dagfleet.lab import engine, machine_image
from dagfleet.lab.machines import make_key

from tests.bench.apply.fleets import NETWORK, Fleet

NAME = "dagfleet-bench-check"
START = """
mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
umask 077 && echo "$0" >/home/ops/.ssh/authorized_keys && chown ops: /home/ops/.ssh/authorized_keys
exec /usr/sbin/sshd -D -o MaxStartups=100
"""


@contextmanager
def hosts_with_sshd(fleet: Fleet) -> Iterator[None]:
    """Have something that lets the fleet's operator in at each host's address."""
    image = machine_image.ensure(engine.client())
    key = make_key(fleet.state / "lab/id_ed25519")
    try:
        _docker("network", "create", "--subnet", f"{NETWORK}.0/24", NAME)
        for host, address in fleet.hosts.items():
            _docker(
                "run", "--detach", "--init", "--name", f"{NAME}-{host}", "--hostname", host,
                "--network", NAME, "--ip", address, image, "sh", "-ec", START, key,
            )  # fmt: skip
        yield
    finally:
        if made := _docker("ps", "--all", "--quiet", "--filter", f"name={NAME}-").split():
            _docker("rm", "--force", "--volumes", *made)
        _docker("network", "rm", NAME)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout

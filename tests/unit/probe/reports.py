"""A healthy host's report, to vary."""

from dataclasses import replace
from typing import Any

from dagfleet.probe.report import Disk, Engine, HostReport, Listener, Privilege

HEALTHY = HostReport(
    hostname="beta",
    machine_id="0123456789abcdef",
    distribution="debian",
    version="12",
    pretty_name="Debian GNU/Linux 12 (bookworm)",
    architecture="x86_64",
    cores=8,
    memory=32 * 1024**3,
    clock_offset=0.0,
    addresses=("127.0.0.1", "10.0.1.2"),
    cgroup="v2",
    init="systemd",
    privilege=Privilege.SUDO,
    commands=frozenset({"python3", "sudo", "apt-get", "systemctl"}),
    listeners=(),
    packages={},
    disk=Disk(mount="/", total=100 * 1024**3, free=50 * 1024**3, inodes_free=5_000_000),
    engine=None,
    daemon_json=None,
    record=None,
    certificates=(),
    certificates_checked=None,
    units={},
)


def report(**changes: Any) -> HostReport:
    return replace(HEALTHY, **changes)


def listener(port: int, process: str, **more: Any) -> Listener:
    return Listener(**{"address": "*", "port": port, "process": process, "pid": 812, "unit": None, **more})


def engine(**changes: Any) -> Engine:
    facts = {
        "version": "24.0.7",
        "root": "/var/lib/docker",
        "driver": "overlay2",
        "cgroup_driver": "systemd",
        "containers": {},
    }
    return Engine(**{**facts, **changes})

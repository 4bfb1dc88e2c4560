"""What one host said about itself, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Privilege(StrEnum):
    """How the login user becomes root."""

    ROOT = "root"
    SUDO = "sudo"
    PASSWORD = "password"  # noqa: S105  # sudo is there but asks for one
    NONE = "none"


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket and who owns it; without root, the owner is not known."""

    address: str
    port: int
    process: str | None
    pid: int | None
    unit: str | None

    @property
    def public(self) -> bool:
        """Tell whether other machines can reach it."""
        return not self.address.startswith("127.") and self.address != "::1"


@dataclass(frozen=True)
class Disk:
    """The file system where Docker keeps its data. Sizes in bytes."""

    mount: str
    total: int
    free: int
    inodes_free: int | None


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers."""

    version: str
    root: str
    driver: str
    cgroup_driver: str
    containers: Mapping[str, tuple[int, ...]]
    """Running containers and the host ports they publish."""


@dataclass(frozen=True)
class HostCertificate:
    """A certificate in /etc/dagfleet/pki and whether its private key lies beside it."""

    file: str
    pem: str
    has_key: bool


@dataclass(frozen=True, kw_only=True)
class HostReport:
    """What `check`, `plan`, `apply` and `status` know about a host; sizes in bytes, times in seconds."""

    hostname: str
    machine_id: str
    distribution: str
    version: str
    pretty_name: str
    architecture: str
    cores: int
    memory: int
    clock_offset: float
    """Host clock minus this machine's clock; half a round trip uncertain."""
    addresses: tuple[str, ...]
    cgroup: str
    init: str
    privilege: Privilege
    commands: frozenset[str]
    listeners: tuple[Listener, ...]
    packages: Mapping[str, str]
    disk: Disk | None
    engine: Engine | None
    daemon_json: str | None
    record: Mapping[str, object] | None
    """/etc/dagfleet/facts.json: what the last apply left; None before the first."""
    certificates: tuple[HostCertificate, ...]
    certificates_checked: float | None
    """When the host's own timer last looked at its certificates, Unix time by its clock; None if never."""
    units: Mapping[str, str]
    """Units of ours and of what we use, with their state (active, failed, ...)."""
    standby: Mapping[str, object] | None = None
    """What the host fetched last from the one that it stands by for; None on any other."""
    python: str | None = None
    """The release of /usr/bin/python3, such as 3.11; None where there is none yet."""
    launcher_key: str | None = None
    """The public half of the launcher's SSH key, on the control host with docker.access ssh."""
    seal: str | None = None
    """/etc/dagfleet/seal: what the last apply made the host from, and a hash of the state it left."""
    state: str | None = None
    """The same hash of the state now; None where there is no seal to compare it with."""

    def as_left(self, inputs: str) -> bool:
        """Tell whether the last apply made the host from these inputs and nobody has changed it since."""
        return bool(inputs and self.state) and self.seal == f"{inputs} {self.state}"

    @property
    def bootstrapped(self) -> bool:
        """Tell whether Ansible can work here: it needs python3, and sudo to become another user."""
        return {"python3", "sudo"} <= self.commands

"""What an apply knows and has done so far; the phases read it and write to it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dagfleet.phases.progress import Progress
from dagfleet.probe.lock import FleetLock
from dagfleet.probe.report import HostReport
from dagfleet.runner.log import Log
from dagfleet.runner.playbook import Ansible
from dagfleet.runner.reason import Failure

if TYPE_CHECKING:
    from dagfleet.derive import Artifacts
    from dagfleet.fleet import Fleet, FleetFile


@dataclass(kw_only=True)
class Work:
    """One apply. `hosts` are those that `--limit` selects, in the file's order."""

    fleet_file: "FleetFile"
    hosts: list[str]
    progress: Progress
    secrets: Mapping[str, str]
    mask: Callable[[str], str]
    log: Log
    lock: FleetLock
    command: str = "dagfleet apply"
    """What finishes the job when it is stopped."""
    wait: float = 0
    accept_new_host_keys: bool = False
    agreed: Callable[[str], bool] = lambda _question: True
    """Asks the person whether to go on in spite of warnings."""

    full: bool = False
    """Visit hosts although nothing has changed there."""

    reports: dict[str, HostReport] = field(default_factory=dict)
    artifacts: "Artifacts | None" = None
    seals: dict[str, str] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    """Hosts that are as the last apply left them, and that this one makes from the same inputs."""
    stopped: dict[str, Failure] = field(default_factory=dict)
    touched: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    """How many tasks of playbooks changed something, by host."""
    release: int | None = None
    """The number under which that was recorded."""
    started: float = field(default_factory=time.monotonic)

    @property
    def fleet(self) -> "Fleet":
        """Return what fleet.yml wants."""
        return self.fleet_file.fleet

    @property
    def going(self) -> list[str]:
        """Return the hosts that nothing has stopped."""
        return [host for host in self.hosts if host not in self.stopped]

    @property
    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self.started

    @property
    def unsettled(self) -> list[str]:
        """Return the hosts that the roles have to visit."""
        return [host for host in self.going if host not in self.settled]

    @property
    def control_going(self) -> bool:
        """Tell whether the control host is part of this apply and nothing has stopped it."""
        return self.fleet.control.host in self.going

    @property
    def ansible(self) -> Ansible:
        """Return how playbooks are run."""
        return Ansible(
            inventory=self.fleet_file.path,
            secrets=self.secrets,
            log=self.log,
            mask=self.mask,
            contract=self.fleet_file.contract,
        )

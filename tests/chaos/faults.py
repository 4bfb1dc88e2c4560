"""What can break: how it is broken, what heals it, and what `dagfleet doctor` says meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tests.e2e.deployed import DeployedFleet

CONTROL, WORKERS = "alpha", ("beta", "gamma", "delta")


class Fault(Protocol):
    """Something that breaks on a fleet."""

    @property
    def title(self) -> str:
        """What an operator would call it."""
        ...

    @property
    def touched(self) -> frozenset[str]:
        """Hosts whose runs it may hold up or end."""
        ...

    @property
    def told(self) -> str | None:
        """A regular expression for what doctor says while it lasts; None: it heals before anybody can ask."""
        ...

    def inject(self, fleet: DeployedFleet) -> None:
        """Break it."""
        ...

    def lift(self, fleet: DeployedFleet) -> None:
        """Do what the world does in the end, such as giving power back; nothing that an operator would."""
        ...


class HealsByItself:
    """Nobody lifts it: units and containers restart."""

    told: str | None = None

    def lift(self, fleet: DeployedFleet) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class KilledContainer(HealsByItself):
    """kill -9 of what runs in a container of ours."""

    host: str
    container: str

    @property
    def title(self) -> str:
        """Return `kill -9 dagfleet-web on alpha`."""
        return f"kill -9 {self.container} on {self.host}"

    @property
    def touched(self) -> frozenset[str]:
        """Return every host when the control plane is hit, which all runs wait for, else its own."""
        return frozenset(WORKERS) if self.host == CONTROL else frozenset({self.host})

    def inject(self, fleet: DeployedFleet) -> None:
        """Kill the process from outside of its container, as the kernel does: Docker starts it again."""
        find = f"docker inspect --format '{{{{.State.Pid}}}}' {self.container}"
        fleet.sh(self.host, f"kill -9 $({find})")


@dataclass(frozen=True)
class KilledUnit(HealsByItself):
    """kill -9 of a unit's processes."""

    host: str
    unit: str

    @property
    def title(self) -> str:
        """Return `kill -9 haproxy.service on beta`."""
        return f"kill -9 {self.unit} on {self.host}"

    @property
    def touched(self) -> frozenset[str]:
        """Return every host when the control plane is hit, else its own."""
        return frozenset(WORKERS) if self.host == CONTROL else frozenset({self.host})

    def inject(self, fleet: DeployedFleet) -> None:
        """Kill all of them at once."""
        fleet.sh(self.host, f"systemctl kill --signal=KILL '{self.unit}'")


@dataclass(frozen=True)
class PowerCut:
    """A machine loses its power, and gets it back."""

    host: str

    @property
    def title(self) -> str:
        """Return `power cut of beta`."""
        return f"power cut of {self.host}"

    @property
    def touched(self) -> frozenset[str]:
        """Return that host."""
        return frozenset({self.host})

    @property
    def told(self) -> str:
        """Return how doctor names a machine that does not answer."""
        return rf"(?m)^{self.host} \(.*\) cannot be reached"

    def inject(self, fleet: DeployedFleet) -> None:
        """Kill the practice machine."""
        fleet.machine(self.host).kill()

    def lift(self, fleet: DeployedFleet) -> None:
        """Boot it."""
        fleet.machine(self.host).start()


@dataclass(frozen=True)
class Frozen:
    """A machine stands still, as a virtual machine's host sometimes lets it."""

    host: str

    @property
    def title(self) -> str:
        """Return `beta stands still`."""
        return f"{self.host} stands still"

    @property
    def touched(self) -> frozenset[str]:
        """Return that host."""
        return frozenset({self.host})

    @property
    def told(self) -> str:
        """Return how doctor names a machine that does not answer."""
        return rf"(?m)^{self.host} \(.*\) cannot be reached"

    def inject(self, fleet: DeployedFleet) -> None:
        """Freeze everything on it."""
        fleet.machine(self.host).pause()

    def lift(self, fleet: DeployedFleet) -> None:
        """Let it go on."""
        fleet.machine(self.host).unpause()


QUICK: tuple[Fault, ...] = (
    KilledContainer(CONTROL, "dagfleet-daemon"),
    KilledContainer(CONTROL, "dagfleet-web"),
    KilledContainer("beta", "dagfleet-location-etl"),
    KilledUnit("gamma", "haproxy.service"),
    KilledUnit(CONTROL, "postgresql@*-dagfleet.service"),
    PowerCut("beta"),
)
ALL: tuple[Fault, ...] = (
    *QUICK,
    KilledUnit(CONTROL, "haproxy.service"),
    KilledUnit(CONTROL, "pgbouncer.service"),
    KilledUnit("beta", "docker.service"),
    KilledUnit("gamma", "docker.service"),
    KilledUnit("delta", "dagfleet-location-reporting.service"),
    PowerCut("gamma"),
    PowerCut("delta"),
    Frozen("beta"),
    Frozen("gamma"),
)

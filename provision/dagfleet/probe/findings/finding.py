"""What a look at a host found, and its mend."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet.model import Fleet


class Level(IntEnum):
    """How much a finding matters: a note says what will be kept or done, a fix stops an apply."""

    OK = 0
    NOTE = 1
    WARN = 2
    FIX = 3

    def __str__(self) -> str:
        return "ok" if self <= Level.NOTE else self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One fact about one host, and what to do about it."""

    host: str
    level: Level
    fact: str
    mend: str | None = None
    by_apply: bool = False
    """Whether an apply is what mends it, so that it does not stop one."""


@dataclass(frozen=True)
class Subject:
    """A host under examination: its name, what fleet.yml wants of it, what it says itself."""

    fleet: "Fleet"
    name: str
    report: HostReport

    @property
    def is_control(self) -> bool:
        """Tell whether the control plane runs here."""
        return self.fleet.control.host == self.name

    @property
    def runs_docker(self) -> bool:
        """Tell whether locations and runs are containers here."""
        return self.fleet.hosts[self.name].runs_docker

    def fix(self, fact: str, mend: str) -> Finding:
        """Return a finding that stops an apply."""
        return Finding(self.name, Level.FIX, fact, mend)

    def warn(self, fact: str, mend: str) -> Finding:
        """Return a finding that an apply goes on with."""
        return Finding(self.name, Level.WARN, fact, mend)

    def note(self, fact: str) -> Finding:
        """Return something to know that needs no mend."""
        return Finding(self.name, Level.NOTE, fact)


Rule = Callable[[Subject], Iterable[Finding]]
"""Looks at one host."""
FleetRule = Callable[["Fleet", dict[str, HostReport]], Iterable[Finding]]
"""Compares hosts with each other."""

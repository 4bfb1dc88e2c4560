"""The fleet's releases, as the control host has them written down: a line of JSON each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from dagfleet.errors import UnreachableError
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import Target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

FILE = "/var/lib/dagfleet/releases"


@dataclass(frozen=True, kw_only=True)
class Release:
    """An apply that changed something. `hosts` counts the changes, `stopped` are those that stayed behind."""

    number: int
    at: str
    by: str
    command: str
    version: str
    config: str
    """A hash of fleet.yml, to compare releases by."""
    seconds: float
    hosts: Mapping[str, int] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """The image of each location that has one, as fleet.yml names it."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """What those names stood for on the hosts, where that was asked; of processes, the release's digest."""
    revision: str | None = None
    """The git commit that fleet.yml was at, or the code that was built."""
    dagster: str = ""
    """The version of Dagster that the fleet had then; empty in releases of before it was noted."""
    breaking: int = 0
    """The highest number of a breaking change that the Dagfleet at work knew."""
    taken_back: str = ""
    """Why this was an upgrade that left everything as it had been; empty for all other releases."""

    @property
    def when(self) -> datetime:
        """Return when it was recorded."""
        return datetime.fromisoformat(self.at)

    def as_line(self) -> str:
        """Return it as the control host keeps it."""
        return json.dumps(asdict(self))


def releases(control: Target) -> list[Release]:
    """Read all releases, the oldest first; raises UnreachableError when the control host does not answer."""

    def read(connection: "Connection") -> str:
        return connection.run(f"cat {FILE} 2>/dev/null || true").stdout

    answer = on_each([control], read)[control.name]
    if isinstance(answer, UnreachableError):
        raise answer
    return parsed(answer)


def parsed(text: str) -> list[Release]:
    """Return the releases in the file's text; what is no release of ours is passed over."""
    found = []
    for line in text.splitlines():
        try:
            found.append(Release(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found

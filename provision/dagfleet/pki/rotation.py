"""The journal of an authority's rotation: which of four steps it is at, and which hosts have it.

| step | hosts trust | leaves of servers | leaves of clients | signed by |
| --- | --- | --- | --- | --- |
| trust both | old, new | old | old | old |
| new servers | old, new | new | old | new |
| new clients | old, new | new | new | new |
| drop old | new | new | new | new |

A step begins when every host has the one before, so whatever two hosts have of a step, each trusts the other.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from dagfleet.pki.errors import UnreadableFileError
from dagfleet.pki.files import sync_directory, write_atomically

TRUST_BOTH, NEW_SERVERS, NEW_CLIENTS, DROP_OLD = STEPS = (
    "trust both",
    "new servers",
    "new clients",
    "drop old",
)
JOURNAL = "rotation.json"


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A rotation under way. `hosts` have the step already; `since` and `who` say who began, for people."""

    authority: str
    old: int
    new: int
    since: str
    who: str
    step: str = TRUST_BOTH
    hosts: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """Return the step's number, from 1 to 4."""
        return STEPS.index(self.step) + 1

    @property
    def new_signs(self) -> bool:
        """Tell whether the new generation signs already: everybody trusts it."""
        return self.step != TRUST_BOTH

    def __str__(self) -> str:
        return f"the rotation of the {self.authority} authority is at step {self.number} of 4, {self.step}"

    def with_hosts(self, *hosts: str) -> Self:
        """Return it with hosts that have the step."""
        return replace(self, hosts=tuple(dict.fromkeys((*self.hosts, *hosts))))

    def following(self) -> Self | None:
        """Return the next step, which no host has yet; None after the last."""
        if self.step == DROP_OLD:
            return None
        return replace(self, step=STEPS[self.number], hosts=())


def read_rotation(directory: Path) -> Rotation | None:
    """Return the rotation that is under way in an authority's folder; raises `UnreadableFileError`."""
    path = directory / JOURNAL
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        facts = json.loads(text)
        rotation = Rotation(**{**facts, "hosts": tuple(facts["hosts"])})
        _ = rotation.number
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableFileError(
            f"{path} is not the journal of a rotation", fix="restore it from your backup of the state folder"
        ) from error
    return rotation


def write_rotation(directory: Path, rotation: Rotation) -> None:
    """Write the journal, durably."""
    write_atomically(directory / JOURNAL, (json.dumps(asdict(rotation), indent=2) + "\n").encode())


def end_rotation(directory: Path) -> None:
    """Take the journal away: the rotation is over."""
    (directory / JOURNAL).unlink(missing_ok=True)
    sync_directory(directory)

"""The journal of an upgrade: what was begun, and how far it came. It lies on the control host."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.restoring import at_control
from dagfleet.phases.work import Work
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import Target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

FILE = "/var/lib/dagfleet/upgrade"
# Whole or not at all, also when the machine stops just then.
_WRITE = f"umask 077 && cat >{FILE}.next && sync {FILE}.next && mv {FILE}.next {FILE}"


@dataclass(frozen=True, kw_only=True)
class Journal:
    """An upgrade that is under way. `step` is the one that was begun last."""

    old: str
    new: str
    step: str
    by: str
    at: str
    images: Mapping[str, str] = field(default_factory=dict)
    """Locations' images for the new Dagster, where they change."""
    control_image: str | None = None
    backup: str = ""
    """The verified one of the first step; empty before."""
    reached: str = ""
    """The step that failed, once all is being taken back; then `step` is one of the way back."""
    failure: str = ""
    """Why, in a sentence."""


def standing(control: Target) -> Journal | None:
    """Read the journal; None when no upgrade is under way. Raises UnreachableError, DagfleetError."""

    def read(connection: "Connection") -> str:
        return connection.run(f"cat {FILE} 2>/dev/null || true").stdout

    answer = on_each([control], read)[control.name]
    if isinstance(answer, UnreachableError):
        raise answer
    return parsed(answer, control.name)


def parsed(text: str, host: str) -> Journal | None:
    """Return the journal that the file's text is; raises DagfleetError when it is something else."""
    if not text.strip():
        return None
    try:
        return Journal(**json.loads(text))
    except (ValueError, TypeError):
        raise DagfleetError(
            f"{FILE} on {host} is not the journal of an upgrade",
            fix="use the Dagfleet that began the upgrade, or a newer one",
        ) from None


def enter(work: Work, journal: Journal) -> None:
    """Write the journal down before its step is begun."""
    at_control(work, _WRITE, stdin=json.dumps(asdict(journal)))


def close(work: Work) -> None:
    """End the journal."""
    at_control(work, f"rm -f {FILE} {FILE}.next")

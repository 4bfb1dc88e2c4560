"""Which images or releases have served a location here: old ones go, and a rollback finds the others."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from code_servers.host import SPECIFICATIONS, Failed, Specification, write
from code_servers.server import Kind

DAY = 86400


@dataclass(frozen=True)
class Version:
    """Until when something served, its name in fleet.yml, and what that name stood for."""

    until: int
    reference: str
    version: str


def noted_in(location: str) -> Path:
    """Return the file that has a location's versions."""
    # From the time when there were images only.
    return SPECIFICATIONS / f"{location}.images"


def noted(location: str) -> list[Version]:
    """Return what served here, what does so now as the last; what only came here is before all others."""
    try:
        rows = [line.split() for line in noted_in(location).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    return [Version(int(row[0]), row[1], row[2] if len(row) > 2 else "") for row in rows]


def note(location: str, versions: list[Version]) -> None:
    """Write them down."""
    lines = [f"{each.until} {each.reference} {each.version}".rstrip() + "\n" for each in versions]
    write(noted_in(location), "".join(lines), 0o600)


def came(location: str, reference: str) -> None:
    """Note a version that was brought here: if it never serves it goes as the others do."""
    known = [each for each in noted(location) if each.reference != reference]
    note(location, [Version(int(time.time()), reference, reference), *known])


def serves(location: str, kind: Kind, specification: Specification) -> None:
    """Note the version that serves now, and remove those that have not for long."""
    reference, now = specification[kind.version_key], int(time.time())
    version, used = kind.version(location, reference), noted(location)
    if used and (used[-1].reference, used[-1].version or version) != (reference, version):
        used[-1] = replace(used[-1], until=now)
    # What a name stood for before is another version; nobody knows that of those noted without one.
    used = [each for each in used if (each.reference, each.version or version) != (reference, version)]
    used.append(Version(now, reference, version))
    keep, oldest = specification["keep"], now - specification["keep_days"] * DAY
    for each in [each for each in used[:-keep] if each.until < oldest]:
        # One that a run still uses, or another location, stays until the next time.
        with contextlib.suppress(Failed):
            there = kind.version(location, each.version or each.reference)
            # What serves now may have had another name, too; then only that name goes.
            renamed = each.reference != reference and kind.version(location, each.reference) == there
            if there and (there != version or renamed):
                kind.discard(location, each.reference, there)
            used.remove(each)
    note(location, used)


def forget(location: str) -> None:
    """Remove the note."""
    noted_in(location).unlink(missing_ok=True)

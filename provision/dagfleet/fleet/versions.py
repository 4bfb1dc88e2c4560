"""Which Dagster versions this Dagfleet can set up: those whose locked requirements it ships."""

import re
from functools import cache
from typing import Literal, get_args

from dagfleet.paths import bundle

_PIN = re.compile(r"^dagster==(\S+)", re.MULTILINE)


@cache
def dagster_versions() -> tuple[str, ...]:
    """Return the Dagster versions pinned by the shipped control-plane locks."""
    locks = sorted((bundle() / "requirements").glob("control-plane*.txt"))
    return tuple(sorted({pin for lock in locks for pin in _PIN.findall(lock.read_text(encoding="utf-8"))}))


def supported_dagster_version(value: str) -> str:
    """Return `value` when its lock ships; raise ValueError naming what is supported otherwise."""
    supported = dagster_versions()
    if value not in supported:
        known = " or ".join(f'"{version}"' for version in supported)
        raise ValueError(f'this Dagfleet sets up Dagster {known}, not "{value}"; write {known}')
    return value


PYTHON = "3.11"
"""The Python of images that Dagfleet builds, and of hosts that run processes unless they say another."""

HostPython = Literal["3.11", "3.12", "3.13"]
"""What python3 may be where locations run as processes: our plugins need 3.11, no known system has 3.14."""
HOST_PYTHONS: tuple[HostPython, ...] = get_args(HostPython)

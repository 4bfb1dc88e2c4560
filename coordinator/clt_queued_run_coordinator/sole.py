"""Refuses to work where another distribution installed a package of the same import name over ours."""

from functools import cache
from importlib.metadata import packages_distributions

_OURS = "dagfleet-coordinator"


@cache
def intruders() -> tuple[str, ...]:
    """Return the other distributions that provide this import name; the files are then a mixture."""
    found = packages_distributions().get(__name__.partition(".")[0], ())
    return tuple(sorted(set(found) - {_OURS}))


def problems() -> list[str]:
    """Return a sentence if there is an intruder."""
    names = " and ".join(intruders())
    return [f"{names} installs the same module as {_OURS}: keep one, then reinstall it"] if names else []

"""Where Dagfleet finds what it ships, and where it keeps what it makes."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundle() -> Path:
    """Return the folder with roles, playbooks, images, inventory plugins and requirements.

    Inside an installed wheel that is `dagfleet/_bundle`; in a checkout it is the repository itself.
    """
    packed = _PACKAGE / "_bundle"
    return packed if packed.is_dir() else _PACKAGE.parent.parent


def cache() -> Path:
    """Return the folder for what can be made again: wheels, environments, machine images.

    A checkout keeps it in `.build`, an installed Dagfleet in the user's cache (XDG base directories).
    `DAGFLEET_CACHE` overrides both.
    """
    if override := os.environ.get("DAGFLEET_CACHE"):
        return Path(override)
    if (_PACKAGE / "_bundle").is_dir():
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dagfleet"
    return bundle() / ".build"

"""The control plane's locked requirements: a file for each version of Dagster that this Dagfleet sets up."""

import re
from pathlib import Path

from dagfleet.errors import ConfigurationError
from dagfleet.paths import bundle


def control_plane_lock(version: str) -> Path:
    """Return the lock of the control plane with this Dagster; what it was compiled from has suffix `.in`."""
    pin = re.compile(rf"^dagster=={re.escape(version)}(\s|$)", re.MULTILINE)
    for lock in sorted((bundle() / "requirements").glob("control-plane*.txt")):
        if pin.search(lock.read_text()):
            return lock
    raise ConfigurationError(
        f"this Dagfleet has no locked requirements for Dagster {version}",
        fix="change dagster.version, or name an image of your own in control.image",
    )

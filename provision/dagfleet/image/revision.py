"""Which commit a folder is at."""

import subprocess
from pathlib import Path


def revision(folder: Path) -> str | None:
    """Return the commit of the git repository around a folder; None outside one. `-dirty`: changed since."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None

"""Private files and folders: written whole or not at all, and refused when others can read them."""

import os
import stat
import tempfile
from pathlib import Path

from dagfleet.pki.errors import LoosePermissionsError

PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
PRIVATE_DIRECTORY = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_directory(path: Path) -> Path:
    """Create `path` and its missing parents, each 0700, and return it. What exists keeps its mode."""
    for directory in reversed([path, *path.parents]):
        if not directory.exists():
            directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    return path


def write_atomically(path: Path, content: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Replace `path` by `content`: a reader, or a crash, sees the old file or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a rename in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_private(path: Path) -> None:
    """Raise `LoosePermissionsError` when group or others have any right on `path`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        wanted = PRIVATE_DIRECTORY if path.is_dir() else PRIVATE_FILE
        raise LoosePermissionsError(
            f"{path} has mode {mode:04o}: others on this machine can get at it",
            fix=f"chmod {wanted:o} {path}",
        )

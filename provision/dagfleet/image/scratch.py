"""Room for intermediate results, in the cache folder: /tmp may be memory, and small."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagfleet.paths import cache


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder that is removed afterwards."""
    parent = cache() / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)

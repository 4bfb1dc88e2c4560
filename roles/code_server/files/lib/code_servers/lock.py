"""One command at a time on a host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from code_servers.host import SPECIFICATIONS


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock. It is root's own directory: nobody else can hold it or put something in its place."""
    SPECIFICATIONS.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(SPECIFICATIONS, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)

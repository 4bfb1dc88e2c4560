"""The full record of a command, in .dagfleet/logs, secrets masked."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

KEPT = 20


class Log:
    """A file that only its owner reads; the oldest make room for the newest."""

    def __init__(self, directory: Path, command: str, mask: Callable[[str], str]) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for outdated in sorted(directory.glob("*.log"))[: -(KEPT - 1)]:
            outdated.unlink(missing_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.path = directory / f"{stamp}-{os.getpid()}-{command}.log"
        self._mask = mask
        self._turn = threading.Lock()
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        """Add a line, with the time in front."""
        with self._turn:
            self._file.write(f"{time.strftime('%H:%M:%S')} {self._mask(text.rstrip())}\n")
            self._file.flush()

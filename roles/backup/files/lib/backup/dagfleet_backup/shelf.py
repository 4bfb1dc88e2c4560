"""The directory that backups lie in: whole ones under their names, unfinished ones never."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dagfleet_backup.errors import BackupError

NAME = re.compile(r"(?P<fleet>[a-z][a-z0-9-]*)-\d{8}T\d{6}Z\.tar(\.age)?")
UNFINISHED = ".unfinished-"
PATIENCE_SECONDS = 900


@dataclass(frozen=True)
class Shelf:
    """One fleet's backups; everything else in the directory is somebody else's and stays."""

    directory: Path
    fleet: str

    def names(self) -> list[str]:
        """Return the backups, the oldest first."""
        try:
            found = [
                entry.name for entry in os.scandir(self.directory) if entry.is_file(follow_symlinks=False)
            ]
        except OSError as error:
            raise self._unusable(error) from None
        return sorted(name for name in found if self._ours(name))

    def path(self, name: str) -> Path:
        """Return where a backup lies; raises BackupError when there is none of that name."""
        if name not in self.names():
            raise BackupError(
                f"there is no backup {name} in {self.directory}",
                fix="see which there are: dagfleet backup list",
            )
        return self.directory / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other backups and restores away meanwhile; the kernel ends that when this process dies."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise BackupError(
                        f"another backup or restore has been at work in {self.directory} for a quarter hour"
                    )
                time.sleep(0.5)
            # Nobody else is at work, so these are of somebody who was killed.
            for left in self.directory.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def desk(self) -> Iterator[Path]:
        """Return a private directory to work in, on the file system that the backup will lie on."""
        try:
            path = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.directory))
        except OSError as error:
            raise self._unusable(error) from None
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def new_name(self, *, sealed: bool) -> str:
        """Return a name that no backup has: the moment, to the second."""
        while True:
            name = (
                f"{self.fleet}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar{'.age' if sealed else ''}"
            )
            if name not in self.names():
                return name
            time.sleep(0.1)

    def put(self, finished: Path, name: str) -> Path:
        """Let a finished file appear under its name, all of it on the disk; never over another one."""
        path = self.directory / name
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            raise BackupError(f"there is a backup {name} in {self.directory} already")
        finished.rename(path)
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path

    def receive(self, stream: IO[bytes], name: str) -> Path:
        """Take a backup that somebody brings."""
        if not self._ours(name):
            raise BackupError(
                f"{name} is not called like a backup of {self.fleet}",
                fix=f"give it back the name that it had, such as {self.fleet}-20261122T031500Z.tar",
            )
        with self.desk() as desk:
            with (desk / name).open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                shutil.copyfileobj(stream, file, 1 << 20)
            return self.put(desk / name, name)

    def thin_out(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` and return what went."""
        gone = self.names()[:-keep]
        for name in gone:
            (self.directory / name).unlink()
        return gone

    def _ours(self, name: str) -> bool:
        found = NAME.fullmatch(name)
        try:
            return found is not None and found["fleet"] == self.fleet and bool(_moment(name))
        except ValueError:
            return False

    def _unusable(self, error: OSError) -> BackupError:
        return BackupError(
            f"{self.directory} cannot be used: {error.strerror}",
            fix="see that it is there and belongs to postgres",
        )


def described(path: Path) -> dict[str, Any]:
    """Return what a backup's name and size say."""
    return {
        "name": path.name,
        "at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", _moment(path.name)),
        "bytes": path.stat().st_size,
        "encrypted": path.suffix == ".age",
    }


def _moment(name: str) -> time.struct_time:
    """Return when the backup of this name was begun, in UTC; raises ValueError for a day that never was."""
    return time.strptime(name.partition(".")[0].rpartition("-")[2], "%Y%m%dT%H%M%SZ")


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

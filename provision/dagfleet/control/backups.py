"""The backup program on the control host, asked over SSH."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.probe.shell import SSH_FAILED, ssh
from dagfleet.probe.target import Target

PROGRAM = "/usr/local/lib/dagfleet/backup"
NOT_THERE = 69
_RUN = f'[ -d {PROGRAM} ] || exit {NOT_THERE}; exec python3 -IB {PROGRAM} "$@"'


@dataclass(frozen=True)
class Backup:
    """A backup as its directory tells of it. `bytes` is its size."""

    name: str
    at: str
    bytes: int
    encrypted: bool

    @property
    def when(self) -> datetime:
        """Return when it was begun."""
        return datetime.fromisoformat(self.at)


class Backups:
    """The backups on the control host of a fleet."""

    def __init__(self, control: Target) -> None:
        self._control = control

    @property
    def possible(self) -> bool:
        """Tell whether the control host has the program, which the first apply brings."""
        done = self._ssh(["test", "-d", PROGRAM])
        if done.returncode == SSH_FAILED:
            raise self._unreachable(done.stderr)
        return done.returncode == 0

    def all(self) -> list[Backup]:
        """Return the backups, the oldest first."""
        return [Backup(**each) for each in self.ask("list")]

    def runs(self) -> int:
        """Return how many runs the fleet's database has."""
        return int(self.ask("state")["runs"])

    def ask(self, *arguments: str, stdin: "bytes | IO[bytes]" = b"") -> Any:
        """Run a command of the program and return its answer; raises DagfleetError with its words."""
        done = self._ssh(["sh", "-c", _RUN, "backup", *arguments], stdin=stdin)
        self._well(done)
        return json.loads(done.stdout)

    def fetch(self, name: str, folder: Path) -> Path:
        """Copy a backup into a folder of this machine; what is cut off never has its name."""
        path, unfinished = folder / name, folder / f".{name}.unfinished"
        if path.exists():
            raise DagfleetError(f"{path} is there already", fix="name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                unfinished.chmod(0o600)
                self._well(self._ssh(["sh", "-c", _RUN, "backup", "send", name], stdout=file))
            unfinished.rename(path)
        except OSError as error:
            raise DagfleetError(
                f"{folder} cannot take the backup: {error.strerror}",
                fix=f"it is on {self._control.name}; copy it again: dagfleet backup copy {name} FOLDER",
            ) from None
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def bring(self, file: Path) -> Backup:
        """Copy a backup from this machine to the control host, unless the very same is there."""
        for known in self.all():
            if known.name == file.name and known.bytes == file.stat().st_size:
                return known
        with file.open("rb") as content:
            return Backup(**self.ask("receive", file.name, stdin=content))

    def _ssh(
        self, command: Sequence[str], *, stdin: "bytes | IO[bytes]" = b"", stdout: "IO[bytes] | None" = None
    ) -> subprocess.CompletedProcess[bytes]:
        given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        return subprocess.run(
            ssh(self._control, command),
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            **given,
        )

    def _well(self, done: subprocess.CompletedProcess[bytes]) -> None:
        if done.returncode == 0:
            return
        errors = done.stderr.decode(errors="replace")
        if done.returncode == SSH_FAILED:
            raise self._unreachable(done.stderr)
        if done.returncode == NOT_THERE:
            raise DagfleetError(
                f"{self._control.name} cannot make backups yet", fix="dagfleet apply brings what makes them"
            )
        lines = errors.strip().splitlines() or ["it did not say why"]
        # The program says the thing and the next step on a line each; anything else is a mistake of ours.
        told, fix = (
            (lines[0], lines[1] if len(lines) > 1 else None) if done.returncode == 1 else (lines[-1], None)
        )
        raise DagfleetError(f"{self._control.name}: {told}", fix=fix)

    def _unreachable(self, errors: bytes) -> UnreachableError:
        name = self._control.name
        said = errors.decode(errors="replace").strip().splitlines() or ["no answer"]
        return UnreachableError(
            f"{name} ({self._control.endpoint}) cannot be entered over SSH: {said[-1]}",
            fix=f"dagfleet check --limit {name}",
        )

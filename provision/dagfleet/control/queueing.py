"""The run queue's own command on the control host, and what is paused there."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.probe.lock import here
from dagfleet.probe.shell import SSH_FAILED, ssh
from dagfleet.probe.target import Target

ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Pause:
    """A location, user or host that gets no new runs. `since` is a Unix time."""

    kind: str
    name: str
    since: float
    paused_by: str
    reason: str


def queue_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `dagster-queue` on the control host in this person's name."""
    whose = f"DAGSTER_QUEUE_USER={here()}"
    return ["docker", "exec", "--env", whose, "dagfleet-daemon", "dagster-queue", *arguments]


class RunQueue:
    """Asks and tells the queue of the fleet whose control host this is."""

    def __init__(self, control: Target) -> None:
        self._control = control

    def pauses(self) -> list[Pause]:
        """Return what is paused."""
        return [Pause(**each) for each in self._ask("list")["paused"]]

    def pause(self, kind: str, name: str, reason: str) -> None:
        """Give it no new runs; what runs goes on."""
        self._ask("pause", kind, name, "--reason", reason)

    def resume(self, kind: str, name: str) -> bool:
        """Give it runs again; tell whether it was paused."""
        return bool(self._ask("resume", kind, name)["was_paused"])

    def _ask(self, *arguments: str) -> dict[str, Any]:
        try:
            done = subprocess.run(
                ssh(self._control, queue_command([*arguments, "--json"])),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=ANSWER_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise self._silent("no answer within a minute") from None
        said = (done.stderr.strip() or done.stdout.strip() or "no reason").splitlines()[-1]
        if done.returncode == SSH_FAILED:
            name = self._control.name
            raise UnreachableError(
                f"{name} ({self._control.endpoint}) cannot be entered over SSH: {said}",
                fix=f"dagfleet check --limit {name}",
            )
        if done.returncode:
            raise self._silent(said)
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def _silent(self, said: str) -> DagfleetError:
        return DagfleetError(
            f"the run queue on {self._control.name} does not answer: {said}",
            fix="see whether the daemon runs: dagfleet doctor",
        )

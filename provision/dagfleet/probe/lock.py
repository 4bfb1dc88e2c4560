"""The fleet's lock: a directory on the control host and a lease, so that two people never apply at once."""

import getpass
import json
import shlex
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from dagfleet.errors import DagfleetError, LockedError, UnreachableError
from dagfleet.probe.connection import Answer
from dagfleet.probe.findings.system import sudo_mend
from dagfleet.probe.target import Target

DIRECTORY = "/var/lib/dagfleet"
LEASE_SECONDS = 30
RENEW_SECONDS = 8

# Every look-then-act happens under flock(1), which the kernel lifts when a session dies: two takers of one
# lapsed lease cannot both win. Ages come from the control host's clock alone, so clocks may differ.
_GUARDED = """\
set -eu
umask 077
mkdir -p {directory}
cd {directory}
exec 9>.lock-guard
flock -w 10 9
owner=lock/owner
now=$(date +%s)
renewed() {{ stat -c %Y "$owner" 2>/dev/null || stat -c %Y lock; }}
ours() {{ grep -qF {token} "$owner" 2>/dev/null; }}
"""
_TAKE = """\
if ! mkdir lock 2>/dev/null; then
    age=$((now - $(renewed)))
    if [ "$age" -lt {lease} ]; then
        echo "held $age $now"
        cat "$owner" 2>/dev/null || true
        exit 0
    fi
    rm -rf lock
    mkdir lock
fi
printf '%s\\n' {owner} >lock/owner.new
sed -i "s/\\"since\\": 0/\\"since\\": $now/" lock/owner.new
mv lock/owner.new "$owner"
echo taken
"""
_RENEW = 'if ours; then touch "$owner"; echo ours; else echo lost; fi\n'
_RELEASE = "if ours; then rm -rf lock; fi\necho released\n"
_DISSOLVE = "if ours; then rm -rf lock .lock-guard; cd /; rmdir {directory} 2>/dev/null || true; fi\n"
_HELD = 'echo "held $((now - $(renewed))) $now"; cat "$owner" 2>/dev/null || true'
_LOOK = f"if [ -d lock ]; then {_HELD}; else echo free; fi\n"
_BREAK = (
    'if [ ! -d lock ]; then echo free; elif [ "$((now - $(renewed)))" -lt {least_age} ]; then '
    + _HELD
    + "; else rm -rf lock; echo released; fi\n"
)


class Shell(Protocol):
    """Runs scripts as root on the control host; a Connection is one."""

    target: Target

    def run(self, script: str) -> Answer:
        """Run a POSIX shell script."""

    def close(self) -> None:
        """End the session."""


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. `held` and `renewed` are seconds ago, by the control host's clock."""

    who: str
    command: str
    held: int
    renewed: int

    @property
    def expires(self) -> int:
        """Return in how many seconds the lease runs out; 0 when it has."""
        return max(0, LEASE_SECONDS - self.renewed)


class FleetLock:
    """Held from `take` to `release`, renewed in the background; `confirm` before anything irrevocable."""

    def __init__(self, shell: Shell, *, fleet_name: str, command: str, directory: str = DIRECTORY) -> None:
        self._shell = shell
        self._directory = directory
        self._fleet_name = fleet_name
        self.command = command
        self._token = uuid.uuid4().hex
        self._session = threading.Lock()
        self._stop = threading.Event()
        self._renewal: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, *, wait: float = 0, waiting: Callable[[Holder], None] = lambda _holder: None) -> None:
        """Take the lock, waiting up to `wait` seconds; raise LockedError that names the holder."""
        owner = {"token": self._token, "who": here(), "command": self.command, "since": 0}
        deadline = time.monotonic() + wait
        while (holder := self._try(json.dumps(owner))) is not None:
            if time.monotonic() >= deadline:
                raise locked(self._fleet_name, holder)
            waiting(holder)
            self._stop.wait(1)
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewal.start()

    def confirm(self) -> None:
        """Raise LockedError when someone has taken over because our lease had run out."""
        if self._run(_RENEW) != "ours":
            raise LockedError(
                f"{self._fleet_name}: the lock was lost while this command was cut off from the control host",
                fix="see who works there with `dagfleet lock status`, then apply again",
            )

    def dissolve(self) -> None:
        """Give the lock back and remove its directory, if nothing else is in it: the fleet is no more."""
        self._stop.set()
        if self._renewal is not None:
            self._renewal.join()
            self._renewal = None
        self._run(_DISSOLVE.format(directory=shlex.quote(self._directory)))

    def release(self) -> None:
        """Give the lock back; a host that cannot be reached any more lets the lease run out by itself."""
        self._stop.set()
        try:
            if self._renewal is not None:
                self._renewal.join()
                self._renewal = None
                self._run(_RELEASE)
        except DagfleetError:
            pass
        finally:
            self._shell.close()

    def _try(self, owner: str) -> Holder | None:
        answer = self._run(_TAKE.format(owner=shlex.quote(owner), lease=LEASE_SECONDS))
        return None if answer == "taken" else _holder(answer)

    def _run(self, script: str) -> str:
        with self._session:
            return _ask(self._shell, script, self._token, self._directory)

    def _renew(self) -> None:
        import gevent

        while not self._stop.wait(RENEW_SECONDS):
            try:
                self._run(_RENEW)
            except UnreachableError:
                continue  # The next turn connects anew; `confirm` tells whether the lease survived.
        gevent.get_hub().destroy()


def look(shell: Shell, *, directory: str = DIRECTORY) -> Holder | None:
    """Return who holds the fleet's lock, or None."""
    answer = _ask(shell, _LOOK, "-", directory)
    return None if answer == "free" else _holder(answer)


def break_lock(shell: Shell, *, force: bool, directory: str = DIRECTORY) -> bool:
    """Remove a lock whose lease has run out, or any lock with `force`; tell whether there was one.

    Raises LockedError while its owner still renews it.
    """
    answer = _ask(shell, _BREAK.format(least_age=0 if force else LEASE_SECONDS), "-", directory)
    if answer.startswith("held"):
        holder = _holder(answer)
        raise LockedError(
            f'{holder.who} still works here ("{holder.command}", lease renewed {holder.renewed} s ago)',
            fix=f"if that machine is gone, try again in {holder.expires} s; if you know better: --force",
        )
    return answer == "released"


def locked(fleet_name: str, holder: Holder) -> LockedError:
    """Return the error that names the holder, since when, and what to do."""
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - holder.held))
    return LockedError(
        f'{fleet_name} is locked: {holder.who} runs "{holder.command}" since {since} ({holder.held} s), '
        f"lease renewed {holder.renewed} s ago",
        fix="wait with --wait 10m. If that machine is gone, the lock can be taken over "
        f"in {holder.expires} s: dagfleet lock release",
    )


def _ask(shell: Shell, script: str, token: str, directory: str) -> str:
    answer = shell.run(_GUARDED.format(directory=shlex.quote(directory), token=token) + script)
    if not answer.ok:
        target = shell.target
        if "sudo:" in answer.stderr:
            raise no_sudo(target)
        raise DagfleetError(
            f"{target.name}: the lock in {directory} cannot be used: {answer.stderr.strip() or 'no reason'}",
            fix="see that the disk there is neither full nor read-only",
        )
    return answer.stdout.strip()


def no_sudo(target: Target) -> UnreachableError:
    """Return the error for a login user that cannot become root without a password."""
    return UnreachableError(
        f"{target.user} cannot become root on {target.name} without a password", fix=sudo_mend(target.user)
    )


def _holder(answer: str) -> Holder:
    """Parse `held AGE NOW` and the owner's JSON; an owner that died before writing it stays unnamed."""
    first, _, rest = answer.partition("\n")
    _, age, now = first.split()
    try:
        owner: dict[str, Any] = json.loads(rest)
    except ValueError:
        owner = {}
    return Holder(
        who=str(owner.get("who", "someone")),
        command=str(owner.get("command", "dagfleet")),
        held=max(0, int(now) - int(owner.get("since") or int(now) - int(age))),
        renewed=max(0, int(age)),
    )


def here() -> str:
    """Return who and where we are: `ops@laptop`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"

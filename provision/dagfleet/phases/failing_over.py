"""Phases of a failover: the control host that is gone is refused everywhere, its standby takes its place."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.failover_journal import Journal
from dagfleet.phases.restoring import Restore, at_control, end_runs_on
from dagfleet.phases.work import Work
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import Target
from dagfleet.probe.units import count
from dagfleet.runner.reason import Failure

_FENCE = "/usr/local/lib/dagfleet/fence end </dev/null"
_PROMOTE = """\
set -e
cd /
sql='SELECT NOT pg_is_in_recovery() OR pg_promote()'
said=$(runuser -u postgres -- psql --no-psqlrc -Atp 6431 -c "$sql" postgres)
[ "$said" = t ] || { echo "PostgreSQL cannot be promoted" >&2; exit 1; }
systemctl start pgbouncer.service
"""


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Notes the failover; an old control host that answers is no control host from here on."""

    journal: Journal
    old: Target
    answers: bool
    title: str = "failover"

    def run(self, work: Work) -> None:
        """Raise DagfleetError when the old control host answers and does not end its control plane."""
        self.journal.write(work.fleet_file)
        work.touched = True
        if not self.answers:
            return
        started = time.monotonic()
        with work.progress.working(self.title, f"ending the control plane on {self.old.name}"):
            answer = on_each([self.old], lambda connection: connection.run(_FENCE, timeout=120))[
                self.old.name
            ]
            if isinstance(answer, UnreachableError):
                raise answer
            if not answer.ok:
                raise DagfleetError(
                    f"{self.old.name} does not end its control plane: {answer.stderr.strip()}",
                    fix=f"switch {self.old.name} off, then {work.command}",
                )
            ended, _ = end_runs_on(work.fleet_file, [self.old.name])
        work.progress.line(
            self.title,
            f"{self.old.name} is the control host no more, {count(ended, 'run container')} ended there",
            time.monotonic() - started,
        )


@dataclass(frozen=True)
class LeaveBehind:
    """Goes on without hosts that do not answer: they follow by the mesh, and get the rest from an apply."""

    silent: Mapping[str, UnreachableError]
    title: str = "hosts"

    def run(self, work: Work) -> None:
        """Note why they stay behind, so that the end tells of it."""
        for host, error in self.silent.items():
            work.hosts.append(host)
            work.stopped[host] = Failure(host, "connect", error.message, unreachable=True)
            work.progress.line(self.title, f"{host} does not answer, and stays behind: {error.message}")


@dataclass(frozen=True)
class Promote:
    """Makes the standby's copy of PostgreSQL the one that is written to, and opens its door: hosts follow."""

    journal: Journal
    title: str = "database"

    def run(self, work: Work) -> None:
        """Do so; again is no change. Raises DagfleetError when it is not a copy that follows."""
        started = time.monotonic()
        with work.progress.working(self.title, f"opening {self.journal.new}'s"):
            at_control(work, _PROMOTE)
        self.journal.note_moved(work.fleet_file)
        text = f"{self.journal.new}'s is open, hosts follow by themselves"
        work.progress.line(self.title, text, time.monotonic() - started)


@dataclass(frozen=True)
class TakeOver:
    """Puts the last backup in place, once: what the new control host has heard since is nobody else's."""

    journal: Journal
    restore: Restore
    title: str = "restore"

    def run(self, work: Work) -> None:
        """Restore, unless the failover came past this before it was killed."""
        if self.journal.moved:
            work.progress.line(self.title, f"{self.journal.new} has its database already")
            return
        if not work.control_going:
            raise DagfleetError(
                f"{self.journal.new} could not be made the control host",
                fix=f"mend what stopped it, then {work.command}",
            )
        self.restore.run(work)
        self.journal.note_moved(work.fleet_file)


@dataclass(frozen=True)
class Finish:
    """Forgets the failover: from here on an apply does all that may be left."""

    journal: Journal
    title: str = "next"

    def run(self, work: Work) -> None:
        """Say what only people can do."""
        Journal.remove(work.fleet_file)
        work.command = "dagfleet apply"
        old, new = self.journal.old, self.journal.new
        hostname, address = work.fleet.control.web.hostname, work.fleet.hosts[new].address
        for text in (
            f"let {hostname} mean {address} ({new}) where people look it up",
            f"{old} is gone for good: dagfleet host rm {old} --offline",
            f"{old} comes back: dagfleet apply makes an ordinary host of it, its old database stays on disk",
        ):
            work.progress.line(self.title, text)

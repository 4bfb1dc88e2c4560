"""Phases that put a backup back: the fleet is applied first, its control plane made but not started."""

import json
import shlex
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.control.backups import Backups
from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.work import Work
from dagfleet.probe.connection import Connection
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target
from dagfleet.probe.units import count

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

STARTED = "control_plane_started"
# The daemon first: it would start more runs.
CONTAINERS = ("dagfleet-daemon", "dagfleet-web", "dagfleet-admin")
_RUNNING = "docker ps --format '{{.Names}}' --filter name='^/dagfleet-(daemon|web|admin)$'"
# Everybody's way to the database is PgBouncer; without it nobody writes to what is being replaced.
# Asked to stop it would wait for the last session, and code servers elsewhere hold theirs for good.
_STOP = f"""\
set -e
docker stop --time 20 {" ".join(CONTAINERS)} >/dev/null
systemctl stop --no-block pgbouncer.service
systemctl kill --signal=TERM pgbouncer.service 2>/dev/null || true
systemctl stop pgbouncer.service
"""
# The Python that `dagster` runs with is not always the one named python.
_IN_ITS_PYTHON = (
    'python=$(sed -n "1s/^#! *//p" "$(command -v dagster)" | grep python) || python=python3; exec $python -'
)
# Runs write to the database that goes. What they would write to the one that comes, it does not know of.
_END_RUNS = """\
if command -v docker >/dev/null; then
    docker ps --quiet --filter label=dagster/run_id | while read -r id; do
        docker kill "$id" >/dev/null 2>&1 && echo "$id"
    done
fi
systemctl kill --signal=KILL 'dagfleet-location-*.service' 2>/dev/null || true
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The backup: its name on the control host, or a `file` of this machine; `identity` opens it."""

    name: str
    file: Path | None = None
    identity: str = ""
    force: bool = False

    def arguments(self) -> list[str]:
        """Return what the program on the host is told."""
        return [
            self.name,
            *(["--identity"] if self.identity else []),
            *(["--force"] if self.force else []),
        ]


@dataclass(frozen=True)
class Look:
    """Refuses what can be refused while nothing has been touched."""

    source: Source
    title: str = "backup"

    def run(self, work: Work) -> None:
        """Look for the backup, and for runs that would be lost."""
        backups, control = backups_of(work.fleet_file), work.fleet.control.host
        possible = backups.possible
        known = {each.name for each in backups.all()} if possible else set()
        if self.source.file is None and self.source.name not in known:
            raise no_backup(control, self.source.name)
        runs = backups.runs() if possible else 0
        if runs and not self.source.force:
            raise DagfleetError(
                f"{control}'s database has {count(runs, 'run')} already",
                fix="if the backup may take their place: dagfleet backup restore --force. "
                "dagfleet backup create keeps what is there now",
            )
        lost = f", in the place of {count(runs, 'run')}" if runs else ""
        work.progress.line(self.title, f"{self.source.name}{lost}")


@dataclass(frozen=True)
class Restore:
    """Stops whoever uses the database, puts the backup in its place, ends lost runs, starts everything."""

    source: Source
    title: str = "restore"

    def run(self, work: Work) -> None:
        """Do so; until the databases are exchanged, a failure leaves things as they were."""
        if not work.control_going:
            return
        control = work.fleet.control.host
        backups = backups_of(work.fleet_file)
        work.touched = True
        if self.source.file is not None:
            started = time.monotonic()
            with work.progress.working(self.title, f"sending {self.source.name} to {control}"):
                backups.bring(self.source.file)
            work.progress.line(
                self.title, f"{self.source.name} sent to {control}", time.monotonic() - started
            )
        running = at_control(work, _RUNNING).split()
        self.halt(work)
        started = time.monotonic()
        try:
            with work.progress.working(self.title, "rebuilding the databases"):
                told = backups.ask("restore", *self.source.arguments(), stdin=self.source.identity.encode())
        except DagfleetError as error:
            with suppress(DagfleetError):
                # Containers that the apply has made anew were not started by it, but their fleet is at work.
                start(work, running or (CONTAINERS if backups.runs() else []))
                error.add_note("The database is as it was.")
            raise
        work.changes[control] = work.changes.get(control, 0) + 1
        work.progress.line(
            self.title,
            f"{count(told['rows'], 'row')} in {count(told['tables'], 'table')} as they were backed up, "
            f"{count(told['runs'], 'run')}",
            time.monotonic() - started,
        )
        self.wake(work)

    def halt(self, work: Work) -> None:
        """Stop whoever uses the database: control plane, PgBouncer, runs."""
        started = time.monotonic()
        with work.progress.working(self.title, "stopping the control plane and all runs"):
            at_control(work, _STOP)
            ended, silent = end_runs_on(work.fleet_file, work.hosts)
        text = f"control plane stopped, {count(ended, 'run container')} ended"
        work.progress.line(self.title, text, time.monotonic() - started)
        if silent:
            work.progress.line(self.title, f"{', '.join(silent)} did not answer: runs there may go on")

    def wake(self, work: Work) -> None:
        """End the runs that were in flight, and start the control plane."""
        started = time.monotonic()
        script = resources.files("dagfleet.control").joinpath("lost_runs.py").read_text(encoding="utf-8")
        with work.progress.working(self.title, "ending runs that were in flight"):
            start(work, ["dagfleet-admin"])
            at_control(work, "docker exec dagfleet-admin dagster instance migrate >/dev/null")
            ending = f"docker exec --interactive dagfleet-admin sh -c {shlex.quote(_IN_ITS_PYTHON)}"
            answer = at_control(work, ending, stdin=script)
            lost = json.loads(answer.strip().splitlines()[-1])
            start(work, CONTAINERS)
        text = f"of the backup's runs {lost['failed']} were in progress and failed"
        work.progress.line(
            self.title, f"{text}, {lost['canceled']} waited and were canceled", time.monotonic() - started
        )


def no_backup(control: str, name: str) -> DagfleetError:
    """Return the error for a name that is neither here nor there."""
    return DagfleetError(
        f'"{name}" is neither a file here nor a backup on {control}',
        fix="see which there are: dagfleet backup list",
    )


def backups_of(fleet_file: "FleetFile") -> Backups:
    """Return the backups on the fleet's control host."""
    return Backups(target(fleet_file, fleet_file.fleet.control.host))


def start(work: Work, containers: Iterable[str]) -> None:
    """Start PgBouncer, then containers of the control plane."""
    names = " ".join(containers)
    at_control(
        work, "systemctl start pgbouncer.service" + (f" && docker start {names} >/dev/null" if names else "")
    )


def at_control(work: Work, script: str, *, stdin: str | None = None) -> str:
    """Run a script as root on the control host; raises DagfleetError with its last words."""
    control = target(work.fleet_file, work.fleet.control.host)
    answer = on_each([control], lambda connection: connection.run(script, stdin=stdin, timeout=600))[
        control.name
    ]
    if isinstance(answer, UnreachableError):
        raise answer
    if not answer.ok:
        lines = (answer.stderr.strip() or answer.stdout.strip() or "it did not say why").splitlines()
        raise DagfleetError(f"{control.name}: {lines[-1]}", fix=f"then go on with: {work.command}")
    return answer.stdout


def end_runs_on(fleet_file: "FleetFile", hosts: Iterable[str]) -> tuple[int, list[str]]:
    """Kill what runs on the hosts; return how many containers that were, and who did not answer."""

    def end(connection: Connection) -> int:
        return len(connection.run(_END_RUNS, timeout=120).stdout.split())

    answers = on_each([target(fleet_file, host) for host in hosts], end)
    silent = [host for host, answer in answers.items() if isinstance(answer, UnreachableError)]
    return sum(answer for answer in answers.values() if isinstance(answer, int)), silent

"""Phases that end a fleet."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from dagfleet.phases.checking import reached
from dagfleet.phases.work import Work
from dagfleet.probe.target import target
from dagfleet.probe.units import count, duration


class Reach:
    """Refuses to begin while a host does not answer: it would keep what the others lose."""

    title = "hosts"

    def run(self, work: Work) -> None:
        """Ask every host; raises UnreachableError."""
        started = time.monotonic()
        found = reached(work, self.title, [target(work.fleet_file, host) for host in work.hosts])
        runs = sum(
            name.startswith("dagster-run-")
            for report in found.reports.values()
            if report.engine
            for name in report.engine.containers
        )
        what = f", {count(runs, 'run')} to be killed" if runs else ""
        work.progress.line(
            self.title, f"{count(len(found.reports), 'host')} answer{what}", time.monotonic() - started
        )


@dataclass(frozen=True)
class Dissolve:
    """Forgets the hosts' certificates here, and gives the lock back, the last thing on the control host."""

    inventory: Path
    title: str = "lock"

    def run(self, work: Work) -> None:
        """Do so, unless a host stayed behind: then the same command goes on."""
        if work.stopped:
            return
        for host in work.hosts:
            shutil.rmtree(work.fleet_file.state / "pki" / "leaves" / host, ignore_errors=True)
        self.inventory.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class End:
    """Says what is gone and what is not."""

    data: bool
    title: str = "done"

    def run(self, work: Work) -> None:
        """Print it."""
        if work.stopped:
            return
        work.lock.dissolve()
        took = duration(time.monotonic() - work.started)
        fleet, control = work.fleet, work.fleet.control.host
        work.progress.line(self.title, f"{fleet.name} is no more · {took}")
        if fleet.postgres.mode == "managed" and not self.data:
            work.progress.say(
                f"{'':9}The database's data stays on {control}, in /var/lib/postgresql, for the next apply.\n"
                f"{'':9}Remove it with: dagfleet destroy --data"
            )
        if fleet.postgres.mode == "managed":
            work.progress.say(
                f"{'':9}Backups stay on {control}, if there are any, in {fleet.backup.directory}."
            )
        work.progress.say(
            f"{'':9}{work.fleet_file.path.name}, the authorities' keys and the secrets stay here, in "
            f"{work.fleet_file.state}."
        )

"""Phase: another Dagster, step by step; each is journalled first, and a failure takes all of them back."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.fleet.tested import refuse_upgrade
from dagfleet.phases import journal
from dagfleet.phases.admitting import refuse_during_upgrade
from dagfleet.phases.journal import Journal
from dagfleet.phases.playing import play
from dagfleet.phases.rehearsing import Rehearse
from dagfleet.phases.restoring import CONTAINERS, STARTED, at_control, backups_of
from dagfleet.phases.taking_back import TakeBack
from dagfleet.phases.verifying import Verify
from dagfleet.phases.work import Work
from dagfleet.phases.writing import WriteFleet
from dagfleet.pki.files import write_atomically
from dagfleet.probe.lock import here
from dagfleet.probe.units import count
from dagfleet.runner.reason import Failure

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet, FleetFile

BACKUP, STOP, MIGRATE, CONTROL, SERVERS, FILE, APPLY = STEPS = (
    "backup", "stop", "migrate", "control plane", "code servers", "file", "apply",
)  # fmt: skip
"""The way there. From `file` on there is no way back: the fleet works, and fleet.yml says so."""

WANTED = "fleet.upgrade.yml"
"""What the wanted file is called, beside fleet.yml; Ansible's inventory knows it, too."""

_ONLY_CONTROL = ("backup", "control_plane")


def begun(
    fleet: "Fleet",
    known: Journal | None,
    version: str,
    images: Mapping[str, str],
    control_image: str | None,
) -> Journal:
    """Return the journal to go by: the one that stands, or a new one.

    Raises ConfigurationError where that is another upgrade than the one asked for, or cannot be begun.
    """
    now = fleet.dagster.version
    if known is None:
        refuse_upgrade(fleet.name, now, version)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return Journal(
            old=now,
            new=version,
            step=BACKUP,
            by=here(),
            at=at,
            images=dict(images),
            control_image=control_image,
        )
    if known.new != version:
        refuse_during_upgrade(fleet.name, known)
    if now not in (known.old, known.new):
        raise ConfigurationError(
            f"fleet.yml says Dagster {now}, and an upgrade from {known.old} to {known.new} is under way",
            fix=f'write version: "{known.old}" there again, then dagfleet upgrade {known.new}',
        )
    if (images and dict(images) != known.images) or control_image not in (None, known.control_image):
        raise ConfigurationError(
            "the upgrade that is under way was begun with other images",
            fix=f"let it finish first: dagfleet upgrade {version}",
        )
    return known


@dataclass(kw_only=True)
class Upgrade:
    """Takes the journal from step to step. Killed anywhere, the same command goes on with the step it was at.

    A host that falls silent holds the upgrade up; any other failure takes it back.
    """

    journal: Journal
    wanted: "FleetFile"
    """What the fleet is to be; its file lies beside fleet.yml while the upgrade lasts, for Ansible."""
    text: str
    """What that file says, and fleet.yml at last."""
    write: WriteFleet
    identity: str = ""
    title: str = "upgrade"
    _before: "FleetFile | None" = field(default=None, init=False)

    def run(self, work: Work) -> None:
        """Leave the journal at the last step, an apply. Raises UndoneError once all is taken back."""
        work.touched = True
        self._before = work.fleet_file
        with self._beside():
            if not self.journal.failure:
                self._forward(work)
            else:
                self._back(work)
        work.fleet_file = replace(self.wanted, path=work.fleet_file.path)
        control = work.fleet.control.host
        # Whatever a killed command has done already: this is a release.
        work.changes.setdefault(control, 1)

    def _forward(self, work: Work) -> None:
        doing: dict[str, Callable[[Work], str]] = {
            BACKUP: self._backup, STOP: self._stop, MIGRATE: self._migrate, CONTROL: self._control_plane,
            SERVERS: self._code_servers, FILE: self._file, APPLY: lambda _work: "",
        }  # fmt: skip
        for step in STEPS[STEPS.index(self.journal.step) :]:
            work.lock.confirm()
            self.journal = replace(self.journal, step=step)
            journal.enter(work, self.journal)
            started = time.monotonic()
            try:
                told = doing[step](work)
            except UnreachableError:
                raise
            except DagfleetError as error:
                if STEPS.index(step) >= STEPS.index(FILE):
                    raise
                self._failed(work, error)
            if told:
                number = f"{STEPS.index(step) + 1} of {len(STEPS)}"
                work.progress.line(self.title, f"{number}  {step:<13} {told}", time.monotonic() - started)

    def _failed(self, work: Work, error: DagfleetError) -> None:
        if self.journal.step == BACKUP:
            journal.close(work)
            work.touched = False
            raise error
        work.progress.line(self.title, f"{self.journal.step}: {error.message}")
        reached = self.journal.step
        self.journal = replace(
            self.journal, reached=reached, failure=error.message, step=TakeBack.first(after=reached)
        )
        self._back(work)

    def _back(self, work: Work) -> None:
        work.fleet_file = self._before or work.fleet_file
        TakeBack(self.journal, identity=self.identity).run(work)

    # The steps, each of which may be done twice.

    def _backup(self, work: Work) -> str:
        backups = backups_of(work.fleet_file)
        with work.progress.working(self.title, "dumping the databases") as now:
            made = backups.ask("create")
            now("restoring the backup beside the databases, to see that it can be")
            key = ["--identity"] if self.identity else []
            told = backups.ask("verify", made["name"], *key, stdin=self.identity.encode())
        self.journal = replace(self.journal, backup=made["name"])
        return f"{made['name']} is good: {count(told['runs'], 'run')}, {count(told['rows'], 'row')}"

    def _stop(self, work: Work) -> str:
        with work.progress.working(self.title, "stopping daemon, web server and admin location"):
            at_control(work, f"docker stop --time 20 {' '.join(CONTAINERS)} >/dev/null")
        return "daemon, web server and admin location stopped; code servers and runs go on"

    def _migrate(self, work: Work) -> str:
        self._play(work, [work.fleet.control.host], tags=_ONLY_CONTROL, started=False)
        return f"the database's tables are those of Dagster {self.journal.new}"

    def _control_plane(self, work: Work) -> str:
        self._play(work, [work.fleet.control.host], tags=_ONLY_CONTROL)
        return f"daemon, web server and admin location work with Dagster {self.journal.new}"

    def _code_servers(self, work: Work) -> str:
        self._play(work, work.hosts)
        with self._as_wanted(work):
            Verify().run(work)
            Rehearse().run(work)
        changed = ", ".join(f"{name} {image}" for name, image in self.journal.images.items())
        return f"all serve{f', {changed}' if changed else ''}"

    def _file(self, work: Work) -> str:
        self.write.run(work)
        return ""

    def _play(
        self, work: Work, hosts: Sequence[str], *, tags: Sequence[str] = (), started: bool = True
    ) -> None:
        play(
            work, self.title, "services", hosts=hosts, tags=tags, quiet=True, inventory=self.wanted.path,
            variables={STARTED: started},
        )  # fmt: skip
        refuse_stopped(work)

    @contextmanager
    def _as_wanted(self, work: Work) -> Iterator[None]:
        before, work.fleet_file = work.fleet_file, self.wanted
        try:
            yield
        finally:
            work.fleet_file = before

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Have the wanted file lie beside fleet.yml."""
        write_atomically(self.wanted.path, self.text.encode(), mode=0o644)
        try:
            yield
        finally:
            self.wanted.path.unlink(missing_ok=True)


class Close:
    """Ends the journal, once the apply that ends an upgrade is recorded."""

    title = "record"

    def run(self, work: Work) -> None:
        """Leave it where hosts have stayed behind: the same command brings them to their end."""
        if not work.stopped:
            journal.close(work)


def refuse_stopped(work: Work) -> None:
    """Raise what stopped a playbook on its hosts; they count as going again, for what comes next."""
    failures: list[Failure] = list(work.stopped.values())
    if not failures:
        return
    work.stopped.clear()
    first = failures[0]
    if any(each.unreachable for each in failures):
        silent = next(each for each in failures if each.unreachable)
        raise UnreachableError(
            f"{silent.host} stopped answering: {silent.sentence}", fix=f"dagfleet check --limit {silent.host}"
        )
    raise DagfleetError(f"{first.host}: {first.sentence}", fix=f"everything it said: {work.log.path}")

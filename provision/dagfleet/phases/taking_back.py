"""The way back of an upgrade that failed: database and images as they were, and a word in the history."""

import shlex
import time
from dataclasses import dataclass, replace

from dagfleet.errors import DagfleetError
from dagfleet.phases import journal
from dagfleet.phases.journal import Journal
from dagfleet.phases.phase import UndoneError
from dagfleet.phases.playing import play
from dagfleet.phases.releases import new_release
from dagfleet.phases.restoring import STARTED, Restore, Source, at_control, backups_of, start
from dagfleet.phases.verifying import Verify
from dagfleet.phases.work import Work
from dagfleet.probe.history import FILE, releases
from dagfleet.probe.target import target
from dagfleet.probe.units import count

DATABASE, IMAGES, TOLD = STEPS = ("database back", "images back", "told")
# Before it the tables were not touched, and nothing has to be lost by putting them back.
FIRST_THAT_CHANGES_TABLES = ("migrate", "control plane", "code servers")


@dataclass
class TakeBack:
    """Goes back from wherever the upgrade came to, by steps of the same journal."""

    journal: Journal
    identity: str = ""
    title: str = "back"

    @staticmethod
    def first(*, after: str) -> str:
        """Return the step of the way back to begin with, once the upgrade has failed at this step."""
        return DATABASE if after in FIRST_THAT_CHANGES_TABLES else IMAGES

    def run(self, work: Work) -> None:
        """Raise UndoneError in the end: the fleet is as it was, the upgrade is not done."""
        doing = {DATABASE: self._database, IMAGES: self._images, TOLD: self._told}
        for step in STEPS[STEPS.index(self.journal.step) :]:
            work.lock.confirm()
            self.journal = replace(self.journal, step=step)
            journal.enter(work, self.journal)
            started = time.monotonic()
            try:
                told = doing[step](work)
            except DagfleetError as error:
                error.add_note(
                    f"The upgrade to {self.journal.new} is being taken back: {self.journal.failure}."
                )
                raise
            work.progress.line(self.title, told, time.monotonic() - started)
        journal.close(work)
        raise UndoneError(
            f"{work.fleet.name} runs Dagster {self.journal.old} as before: the upgrade to {self.journal.new} "
            f'failed at step "{self.journal.reached}": {self.journal.failure}',
            fix=f"mend that, then dagfleet upgrade {self.journal.new}. All that was said: {work.log.path}",
        )

    @property
    def _restored(self) -> bool:
        return self.first(after=self.journal.reached) == DATABASE

    @property
    def _restore(self) -> Restore:
        source = Source(name=self.journal.backup, identity=self.identity, force=True)
        return Restore(source, title=self.title)

    def _database(self, work: Work) -> str:
        self._restore.halt(work)
        with work.progress.working(self.title, "rebuilding the databases"):
            arguments = self._restore.source.arguments()
            told = backups_of(work.fleet_file).ask("restore", *arguments, stdin=self.identity.encode())
            start(work, ())
        return (
            f"{count(told['rows'], 'row')} and {count(told['runs'], 'run')} as {self.journal.backup} has them"
        )

    def _images(self, work: Work) -> str:
        """Make all as fleet.yml still says; after a restore, lost runs end before the daemon starts."""
        play(
            work, self.title, "services", hosts=work.hosts, quiet=True,
            variables={STARTED: not self._restored},
        )  # fmt: skip
        if work.stopped:
            failure = next(iter(work.stopped.values()))
            work.stopped.clear()
            raise DagfleetError(f"{failure.host}: {failure.sentence}", fix=f"then: {work.command}")
        if self._restored:
            self._restore.wake(work)
        try:
            Verify().run(work)
        except DagfleetError as error:
            # Whatever that is, it may have been so before, and no second way back would mend it.
            work.progress.line(self.title, f"{error.message}; {error.fix}")
        return f"control plane and code servers are those of Dagster {self.journal.old}"

    def _told(self, work: Work) -> str:
        known = releases(target(work.fleet_file, work.fleet.control.host))
        release = replace(new_release(work, known), hosts=dict(work.changes), taken_back=self.journal.failure)
        at_control(work, f"umask 022 && printf '%s\\n' {shlex.quote(release.as_line())} >>{FILE}")
        return f"release {release.number} tells of it"

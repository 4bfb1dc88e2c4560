"""`dagfleet failover`: the control host is gone, its standby takes its place."""

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.backup import identity_option, key_of
from dagfleet.cli.settings import Settings, common_options
from dagfleet.errors import ConfigurationError, DagfleetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagfleet.control.backups import Backup
    from dagfleet.errors import UnreachableError
    from dagfleet.fleet import FleetFile
    from dagfleet.phases.failover_journal import Journal
    from dagfleet.phases.phase import Phase
    from dagfleet.probe.survey import Survey


@click.command(short_help="Let the standby take the control host's place.")
@click.option(
    "--backup", "chosen", metavar="NAME|FILE", help="Take over from this one. [default: the standby's newest]"
)
@identity_option
@click.option("--force", is_flag=True, help="The control host answers: end its control plane first.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for the fleet's name, for scripts.")
@click.option("--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end.")
@common_options
@click.pass_obj
def failover(
    settings: Settings, *, chosen: str | None, identity: str | None, force: bool, yes: bool, wait: float
) -> None:
    """Make control.standby the control host, in fleet.yml and in truth, because the control host is gone.

    It says first what will be lost. Hosts follow by the mesh, also those that this machine cannot reach; the
    old control host's certificates are refused from then on. Stopped anywhere, the same command goes on.
    """
    from dagfleet.fleet.comings import taking_over
    from dagfleet.phases.failover_journal import Journal

    fleet_file = settings.fleet_file()
    text = fleet_file.path.read_text(encoding="utf-8")
    journal = Journal.read(fleet_file)
    if journal and fleet_file.fleet.control.host == journal.new:
        changed, after = text, fleet_file
    else:
        changed, after = taking_over(fleet_file, text)
        old = fleet_file.fleet.control.host
        journal = journal or Journal(old=old, new=after.fleet.control.host)
    found = _look(settings, after)
    if journal.new in found.unreachable:
        raise found.unreachable[journal.new]
    if journal.old in found.reports and not force:
        raise DagfleetError(
            f"{journal.old} answers, so the control plane is not lost",
            fix="dagfleet doctor names what is broken there; to move it anyway: dagfleet failover --force",
        )
    streams = journal.streams if journal.begun else fleet_file.fleet.streams and chosen is None
    backup = None if journal.moved or streams else _backup(after, journal, chosen)
    if not journal.moved:
        lost = lost_since_backup(backup, found) if backup else lost_since_copy(after, journal)
        _confirm(settings, after, journal, lost, found, yes=yes)
    plan = Takeover(
        before=text,
        changed=changed,
        after=after,
        journal=replace(
            journal, begun=True, streams=streams, backup=backup.name if backup else journal.backup
        ),
        file=Path(chosen) if chosen and Path(chosen).is_file() else None,
        key=key_of(identity, backup.name, encrypted=backup.encrypted) if backup else "",
        answers=journal.old in found.reports,
        silent={host: error for host, error in found.unreachable.items() if host != journal.old},
    )
    _run(settings, plan, identity, wait)


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """All that was decided before the first host is touched."""

    before: str
    changed: str
    after: "FleetFile"
    journal: "Journal"
    file: Path | None
    key: str
    answers: bool
    silent: "Mapping[str, UnreachableError]"

    def phases(self) -> "list[Phase]":
        """Return the phases of an apply of the new file, with those of a failover between them."""
        from dagfleet.phases.admitting import Admit
        from dagfleet.phases.apply import PHASES
        from dagfleet.phases.certificates import Certificates
        from dagfleet.phases.failing_over import Begin, Finish, LeaveBehind, Promote, TakeOver
        from dagfleet.phases.finishing import Done
        from dagfleet.phases.leaving import EndConnections, EndRuns, RevokeHost
        from dagfleet.phases.playbooks import Services
        from dagfleet.phases.restoring import STARTED, Restore, Source
        from dagfleet.phases.writing import WriteFleet
        from dagfleet.probe.target import target

        journal, revoke = self.journal, RevokeHost(self.journal.old)
        begin = Begin(journal=journal, old=target(self.after, journal.old), answers=self.answers)
        write = WriteFleet(before=self.before, after=self.changed, what=f"{journal.new} is the control host")
        source = Source(name=journal.backup, file=self.file, identity=self.key, force=True)
        phases: list[Phase] = []
        for phase in PHASES:
            if isinstance(phase, Certificates):
                written = [] if self.before == self.changed else [write]
                phases += [LeaveBehind(self.silent), begin, revoke, *written]
                # Runs that go on wait for it.
                phases += [*([Promote(journal)] if journal.streams else []), phase]
            elif isinstance(phase, Admit):
                phases.append(Admit(any_dagster=True))
            elif isinstance(phase, Services) and not journal.streams:
                phases += [phase if journal.moved else Services(variables={STARTED: False})]
                phases += [TakeOver(journal, Restore(source))]
            elif isinstance(phase, Done):
                phases += [EndConnections(revoke), EndRuns(journal.old), Finish(journal), phase]
            else:
                phases.append(phase)
        return phases


def _run(settings: Settings, plan: Takeover, identity: str | None, wait: float) -> None:
    from dagfleet.cli.working import working
    from dagfleet.phases.phase import run

    away = {plan.journal.old, *plan.silent}
    hosts = [host for host in plan.after.fleet.hosts if host not in away]
    command = " ".join(
        [
            "dagfleet failover",
            *(["--force"] if plan.answers else []),
            *([f"--identity {identity}"] if identity else []),
        ]
    )
    with working(settings, plan.after, hosts, log="failover", command=command) as work:
        work.wait = wait
        run(work, plan.phases())


def _look(settings: Settings, after: "FleetFile") -> "Survey":
    from dagfleet.probe.survey import survey
    from dagfleet.probe.target import target

    with settings.terminal.working("failover", "looking who answers"):
        return survey([target(after, host) for host in after.fleet.hosts])


def _backup(after: "FleetFile", journal: "Journal", chosen: str | None) -> "Backup":
    """Return what the new control host takes over from; raises DagfleetError when there is nothing."""
    from dagfleet.control.backups import Backup, Backups
    from dagfleet.phases.restoring import no_backup
    from dagfleet.probe.target import target

    if chosen and (file := Path(chosen)).is_file():
        when = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat()
        return Backup(file.name, when, file.stat().st_size, encrypted=file.suffix == ".age")
    backups = Backups(target(after, journal.new))
    known = {each.name: each for each in backups.all()} if backups.possible else {}
    name = chosen or journal.backup or next(reversed(known), "")
    if name in known:
        return known[name]
    if name:
        raise no_backup(journal.new, name)
    raise DagfleetError(
        f"{journal.new} has no backup of {journal.old} to take over from",
        fix="take one of your own: dagfleet failover --backup FILE",
    )


@dataclass(frozen=True)
class Lost:
    """What a failover loses, in the words that the person is asked with."""

    source: str
    data: str
    runs: str


def lost_since_backup(backup: "Backup", found: "Survey") -> Lost:
    """Return what a failover from a backup loses."""
    from dagfleet.probe.units import count, duration

    age = duration(max(0.0, (datetime.now(UTC) - backup.when).total_seconds()))
    running = {
        host: sum(name.startswith("dagster-run-") for name in report.engine.containers)
        for host, report in found.reports.items()
        if report.engine
    }
    at_work = ", ".join(f"{number} on {host}" for host, number in running.items() if number)
    also = f"{count(sum(running.values()), 'run container')} ({at_work}) and " if at_work else ""
    return Lost(
        source=backup.name,
        data=f"what the databases were told in the last {age}: runs, events, ticks, other rows",
        runs=f"{also}every run that was in flight when the backup was made",
    )


def lost_since_copy(after: "FleetFile", journal: "Journal") -> Lost:
    """Return what one from a copy of PostgreSQL loses; raises DagfleetError when there is no such copy."""
    from dagfleet.control.backups import Backups
    from dagfleet.probe.target import target

    told = Backups(target(after, journal.new)).ask("replica")
    # One that was promoted by a failover that was killed just then is as it should be.
    if not (told["recovering"] or journal.begun):
        raise DagfleetError(
            f"PostgreSQL on {journal.new} follows no other, so it has nothing to take over with",
            fix=f"take one of the backups in {after.fleet.backup.directory} on {journal.new}: "
            "dagfleet failover --backup NAME",
        )
    last = datetime.fromisoformat(told["last"]).astimezone() if told["last"] else None
    moment = f"{last:%Y-%m-%d %H:%M:%S}" if last else "the copy was made"
    return Lost(
        source="its copy of PostgreSQL",
        data=f"what {journal.old} wrote after {moment}, the last that came: moments, if it followed",
        runs=f"runs on {journal.old}, and any that asked the database just then; others go on",
    )


def _confirm(
    settings: Settings, after: "FleetFile", journal: "Journal", lost: Lost, found: "Survey", *, yes: bool
) -> None:
    """Say what will be lost; raise ConfigurationError unless the person has written the fleet's name."""
    terminal, fleet = settings.terminal, after.fleet.name
    state = "answers, its control plane is ended" if journal.old in found.reports else "does not answer"
    terminal.line("failover", f"{journal.old} {state}; {journal.new} takes over from {lost.source}")
    terminal.line("lost", lost.data)
    terminal.line("ended", lost.runs)
    for host, error in found.unreachable.items():
        if host != journal.old:
            terminal.line("", f"{host} does not answer, and hears of it from a later apply: {error.message}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is here to be asked whether that may be lost", fix="if it may: dagfleet failover -y"
        )
    given = click.prompt(f"Type the fleet's name ({fleet}) to go on", default="", show_default=False)
    if given != fleet:
        raise ConfigurationError(f'"{given}" is not the name of this fleet', fix=f"it is called {fleet}")

"""`dagfleet failover`: the control host is gone, its standby takes its place."""

import sys
from dataclasses import dataclass
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
        journal = journal or Journal(old=old, new=after.fleet.control.host, backup="")
    found = _look(settings, after)
    if journal.new in found.unreachable:
        raise found.unreachable[journal.new]
    if journal.old in found.reports and not force:
        raise DagfleetError(
            f"{journal.old} answers, so the control plane is not lost",
            fix="dagfleet doctor names what is broken there; to move it all the same: dagfleet failover --force",
        )
    backup = None if journal.moved else _backup(after, journal, chosen)
    key = key_of(identity, backup.name) if backup else ""
    if backup:
        _confirm(settings, after, journal, backup, found, yes=yes)
    plan = _Plan(
        before=text,
        changed=changed,
        after=after,
        journal=Journal(
            old=journal.old,
            new=journal.new,
            backup=backup.name if backup else journal.backup,
            moved=journal.moved,
        ),
        file=Path(chosen) if chosen and Path(chosen).is_file() else None,
        key=key,
        answers=journal.old in found.reports,
        silent={host: error for host, error in found.unreachable.items() if host != journal.old},
    )
    _run(settings, plan, identity, wait)


@dataclass(frozen=True, kw_only=True)
class _Plan:
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
        from dagfleet.phases.apply import PHASES
        from dagfleet.phases.certificates import Certificates
        from dagfleet.phases.failing_over import Begin, Finish, LeaveBehind, TakeOver
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
                phases += [LeaveBehind(self.silent), begin, revoke, *written, phase]
            elif isinstance(phase, Services):
                phases += [phase if journal.moved else Services(variables={STARTED: False})]
                phases += [TakeOver(journal, Restore(source))]
            elif isinstance(phase, Done):
                phases += [EndConnections(revoke), EndRuns(journal.old), Finish(journal), phase]
            else:
                phases.append(phase)
        return phases


def _run(settings: Settings, plan: _Plan, identity: str | None, wait: float) -> None:
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


def _confirm(
    settings: Settings,
    after: "FleetFile",
    journal: "Journal",
    backup: "Backup",
    found: "Survey",
    *,
    yes: bool,
) -> None:
    """Say what will be lost; raise ConfigurationError unless the person has written the fleet's name."""
    from dagfleet.probe.units import count, duration

    terminal, fleet = settings.terminal, after.fleet
    age = duration(max(0.0, (datetime.now(UTC) - backup.when).total_seconds()))
    running = {
        host: sum(name.startswith("dagster-run-") for name in report.engine.containers)
        for host, report in found.reports.items()
        if report.engine
    }
    at_work = ", ".join(f"{number} on {host}" for host, number in running.items() if number)
    state = "answers, its control plane is ended" if journal.old in found.reports else "does not answer"
    terminal.line("failover", f"{journal.old} {state}; {journal.new} takes over from {backup.name}")
    terminal.line("lost", f"what the databases were told in the last {age}: runs, events, ticks, other rows")
    what = f"{count(sum(running.values()), 'run container')} ({at_work}) and every" if at_work else "every"
    terminal.line("ended", f"{what} run that was in flight when the backup was made")
    for host, error in found.unreachable.items():
        if host != journal.old:
            terminal.line(
                "", f"{host} does not answer: runs there go on, their results are lost. {error.message}"
            )
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is here to be asked whether that may be lost", fix="if it may: dagfleet failover -y"
        )
    given = click.prompt(f"Type the fleet's name ({fleet.name}) to go on", default="", show_default=False)
    if given != fleet.name:
        raise ConfigurationError(f'"{given}" is not the name of this fleet', fix=f"it is called {fleet.name}")

"""`dagfleet backup`: what the control host alone has, kept elsewhere and put back."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, json_option

if TYPE_CHECKING:
    from dagfleet.control.backups import Backups
    from dagfleet.fleet import FleetFile

identity_option = click.option(
    "--identity",
    metavar="FILE",
    help="File with age's secret key, for a backup that is encrypted; - reads it from standard input.",
)


class BackupPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("create", "list", "copy", "verify", "restore")}
    examples = """
dagfleet backup create --to ~/backups                 make one, and keep a copy here
dagfleet backup verify --identity key.txt             is the newest one good? restores it beside
dagfleet backup restore prod-20261122T031500Z.tar     the control host's disk is new: same fleet again
"""


@click.group(cls=BackupPage, short_help="Back the control host up, try backups out, restore one.")
@common_options
def backup() -> None:
    """Back up what the control host alone has: the databases and the fleet's history.

    The authorities' keys, the secrets and fleet.yml are on your machine, and in no backup.
    """


@backup.command(short_help="Make a backup now.")
@click.option(
    "--to", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Copy it here, too."
)
@json_option
@common_options
@click.pass_obj
def create(settings: Settings, *, to: Path | None, as_json: bool) -> None:
    """Make a backup on the control host now; runs go on meanwhile."""
    from dagfleet.probe.units import count, size

    fleet_file, backups = _managed(settings)
    terminal = settings.messages if as_json else settings.terminal
    with terminal.working("backup", "dumping the databases"):
        made = backups.ask("create")
    copied = _copy(settings, backups, made["name"], to, quiet=as_json) if to else None
    if as_json:
        settings.terminal.say(json.dumps({**made, "copy": str(copied) if copied else None}, indent=2))
        return
    what = f"{size(made['bytes'])}, {count(made['runs'], 'run')}, {count(made['rows'], 'row')}"
    terminal.line("backup", f"{made['name']}: {what}", made["seconds"])
    if made["deleted"]:
        terminal.line(
            "", f"deleted, as more than {fleet_file.fleet.backup.keep}: {', '.join(made['deleted'])}"
        )
    if not made["encrypted"]:
        terminal.say("It is not encrypted: keep it like the database itself, or set backup.recipient.")


@backup.command("list", short_help="Show the backups on the control host.")
@json_option
@common_options
@click.pass_obj
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show the backups on the control host, the newest first."""
    from dagfleet.probe.units import count, size

    fleet_file, backups = _managed(settings)
    found = backups.all()
    terminal, wanted = settings.terminal, fleet_file.fleet.backup
    if as_json:
        terminal.say(json.dumps([asdict(each) for each in found], indent=2))
        return
    rows = [("BACKUP", "WHEN", "SIZE", "ENCRYPTED")]
    rows += [
        (
            each.name,
            f"{each.when.astimezone():%Y-%m-%d %H:%M}",
            size(each.bytes),
            "yes" if each.encrypted else "no",
        )
        for each in reversed(found)
    ]
    if found:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            terminal.say(
                "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            )
    control = fleet_file.fleet.control.host
    where = f"{count(len(found), 'backup')} in {wanted.directory} on {control}"
    when = (
        f"made at {wanted.schedule}, {wanted.keep} are kept" if wanted.schedule else "none is made by itself"
    )
    terminal.say(f"{where}; {when}.")


@backup.command(short_help="Copy a backup to this machine.")
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@common_options
@click.pass_obj
def copy(settings: Settings, *, name: str, folder: Path) -> None:
    """Copy a backup from the control host into a folder of this machine."""
    _, backups = _managed(settings)
    _copy(settings, backups, name, folder)


@backup.command(short_help="Try a backup out, beside the databases in use.")
@click.argument("name", required=False)
@identity_option
@json_option
@common_options
@click.pass_obj
def verify(settings: Settings, *, name: str | None, identity: str | None, as_json: bool) -> None:
    """Restore a backup, the newest if none is named, into scratch databases on the control host.

    Every table must have the rows that it had, and the same ones. The scratch databases are dropped again.
    """
    from dagfleet.probe.units import count

    _, backups = _managed(settings)
    if name is None:
        name = newest.name if (newest := next(iter(reversed(backups.all())), None)) else ""
    key = key_of(identity, name, encrypted=name.endswith(".age"))
    terminal = settings.messages if as_json else settings.terminal
    with terminal.working("verify", f"restoring {name} into a scratch database"):
        told = backups.ask(
            "verify", *([name] if name else []), *(["--identity"] if key else []), stdin=key.encode()
        )
    if as_json:
        settings.terminal.say(json.dumps(told, indent=2))
        return
    what = f"{count(told['rows'], 'row')} in {count(told['tables'], 'table')}, {count(told['runs'], 'run')}"
    terminal.line("verify", f"{told['name']} is good: {what}", told["seconds"])


@backup.command(short_help="Put a backup in the place of the databases, on a new control host, too.")
@click.argument("source", metavar="NAME|FILE")
@identity_option
@click.option("--force", is_flag=True, help="Also in the place of a database that has runs.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for the fleet's name, for scripts.")
@click.option("--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end.")
@click.option(
    "--accept-new-host-keys", is_flag=True, help="Trust the SSH host keys that hosts show for the first time."
)
@common_options
@click.pass_obj
def restore(
    settings: Settings,
    *,
    source: str,
    identity: str | None,
    force: bool,
    yes: bool,
    wait: float,
    accept_new_host_keys: bool,
) -> None:
    """Put a backup in the place of the fleet's databases, and its history before today's.

    Applies fleet.yml first, so that an empty machine becomes the control host. Every run is ended, in the
    backup and on the hosts: those in progress fail, those that waited are canceled.
    """
    from dagfleet.cli.working import working
    from dagfleet.phases.admitting import Admit
    from dagfleet.phases.apply import PHASES
    from dagfleet.phases.checking import Check
    from dagfleet.phases.phase import Phase, run
    from dagfleet.phases.playbooks import Services
    from dagfleet.phases.restoring import STARTED, Look, Restore, Source

    fleet_file, _ = _managed(settings)
    file = Path(source) if Path(source).is_file() else None
    name = Path(source).name if file else source
    _confirm(settings, fleet_file, name, yes=yes)
    key = key_of(identity, name, encrypted=name.endswith(".age"))
    chosen = Source(name=name, file=file, identity=key, force=force)
    phases: list[Phase] = []
    for phase in PHASES:
        if isinstance(phase, Admit):
            phases.append(Admit(any_dagster=True))
        elif isinstance(phase, Check):
            phases += [phase, Look(chosen)]
        elif isinstance(phase, Services):
            phases += [Services(variables={STARTED: False}), Restore(chosen)]
        else:
            phases.append(phase)
    command = f"dagfleet backup restore {source} --force" + (f" --identity {identity}" if identity else "")
    with working(settings, fleet_file, list(fleet_file.fleet.hosts), log="restore", command=command) as work:
        work.wait = wait
        work.accept_new_host_keys = accept_new_host_keys
        run(work, phases)


def _managed(settings: Settings) -> "tuple[FleetFile, Backups]":
    """Return the fleet and its backups; raises ConfigurationError where the database is somebody else's."""
    from dagfleet.control.backups import Backups
    from dagfleet.errors import ConfigurationError
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    if fleet_file.fleet.postgres.mode == "external":
        raise ConfigurationError(
            f"{fleet_file.fleet.name} uses an external PostgreSQL (postgres.mode)",
            fix="whoever runs that server backs it up",
        )
    return fleet_file, Backups(target(fleet_file, fleet_file.fleet.control.host))


def _copy(settings: Settings, backups: "Backups", name: str, folder: Path, *, quiet: bool = False) -> Path:
    terminal = settings.messages if quiet else settings.terminal
    with terminal.working("copy", f"copying {name}"):
        path = backups.fetch(name, folder)
    terminal.line("copy", str(path))
    return path


def key_of(identity: str | None, name: str, *, encrypted: bool) -> str:
    """Return age's secret key; raises ConfigurationError when it is needed and none is given, or locked."""
    from dagfleet.errors import ConfigurationError

    if identity is None:
        if encrypted:
            raise ConfigurationError(
                f"{name} is encrypted", fix="name the file with its recipient's secret key: --identity FILE"
            )
        return ""
    try:
        text = sys.stdin.read() if identity == "-" else Path(identity).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{identity} cannot be read: {error}", fix="name a file of age-keygen's"
        ) from None
    if "AGE-SECRET-KEY-" not in text:
        raise ConfigurationError(
            f"{identity} holds no secret key of age's",
            fix="if it is locked with a passphrase: age --decrypt FILE | dagfleet backup ... --identity -",
        )
    return text


def _confirm(settings: Settings, fleet_file: "FleetFile", name: str, *, yes: bool) -> None:
    """Raise ConfigurationError unless the person has written the fleet's name, or a script said yes."""
    from dagfleet.errors import ConfigurationError

    if yes:
        return
    fleet = fleet_file.fleet.name
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is here to be asked whether the database may be replaced",
            fix=f"if it may: dagfleet backup restore {name} -y",
        )
    settings.terminal.say(f"This puts {name} in the place of {fleet}'s databases and ends every run.")
    given = click.prompt(f"Type the fleet's name ({fleet}) to go on", default="", show_default=False)
    if given != fleet:
        raise ConfigurationError(f'"{given}" is not the name of this fleet', fix=f"it is called {fleet}")

"""`dagfleet host`: hosts come, rest and leave."""

from typing import TYPE_CHECKING, ClassVar

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, completes

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

name_argument = click.argument("name", shell_complete=completes("hosts"))
yes_option = click.option("-y", "--yes", is_flag=True, help="Go on in spite of warnings without asking.")
wait_option = click.option(
    "--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end, such as 10m."
)
timeout_option = click.option(
    "--timeout", type=Span(), metavar="TIME", help="Give up waiting for runs after this, such as 2h."
)


class HostPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("add", "drain", "undrain", "rm")}
    examples = """
dagfleet host add gamma --address 10.0.1.3 --location etl    into fleet.yml, then apply
dagfleet host drain gamma --timeout 2h                       no new runs, wait for those that work
dagfleet host rm gamma                                       drain, forget, leave a clean machine
dagfleet host rm gamma --offline                             it is dead and never comes back
"""


@click.group(cls=HostPage, short_help="Add a host, give it a rest, take it out.")
@common_options
def host() -> None:
    """Add a host, give it a rest, take it out: edits fleet.yml, comments and all, and applies it."""


@host.command(short_help="Put a host into fleet.yml and set it up.")
@name_argument
@click.option("--address", required=True, help="Address by which the other hosts reach it.")
@click.option("--user", help="Who logs in over SSH. [default: as on the control host]")
@click.option("--ssh-port", type=int, help="Port of sshd. [default: as on the control host]")
@click.option("--key", metavar="FILE", help="Private key for SSH. [default: as on the control host]")
@click.option(
    "--location",
    "locations",
    multiple=True,
    shell_complete=completes("parts"),
    help="Let it serve this location, too; may be repeated.",
)
@click.option("--max-runs", type=int, help="How many run containers it takes at once.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A fact of your own about it.")
@click.option("--process", is_flag=True, help="It gets no Docker: locations are bare processes there.")
@click.option("--python", metavar="RELEASE", help="Its python3, with --process.  [default: 3.11]")
@click.option("--accept-new-host-keys", is_flag=True, help="Trust the SSH host key that it shows now.")
@yes_option
@wait_option
@common_options
@click.pass_obj
def add(
    settings: Settings,
    *,
    name: str,
    address: str,
    user: str | None,
    ssh_port: int | None,
    key: str | None,
    locations: tuple[str, ...],
    max_runs: int | None,
    labels: tuple[str, ...],
    process: bool,
    python: str | None,
    accept_new_host_keys: bool,
    yes: bool,
    wait: float,
) -> None:
    """Put a host into fleet.yml and apply it: other hosts stay as they are, no run is dropped.

    The file keeps its comments, and is written only once the new host has passed dagfleet check.
    """
    from dagfleet.cli.working import agreeing, working
    from dagfleet.fleet.comings import coming
    from dagfleet.phases.apply import PHASES
    from dagfleet.phases.certificates import Certificates
    from dagfleet.phases.phase import run
    from dagfleet.phases.writing import WriteFleet

    before = settings.fleet_file()
    text = before.path.read_text(encoding="utf-8")
    changed, fleet_file = coming(
        before,
        text,
        name,
        address=address,
        ssh={"user": user, "port": ssh_port, "key": key},
        locations=locations,
        max_runs=max_runs,
        labels=labels,
        process=process,
        python=python,
    )
    write = WriteFleet(before=text, after=changed, what=f"host {name} added")
    phases = list(PHASES)
    phases.insert(next(at for at, phase in enumerate(phases) if isinstance(phase, Certificates)), write)
    with working(settings, fleet_file, list(fleet_file.fleet.hosts), log="add") as work:
        work.wait = wait
        work.accept_new_host_keys = accept_new_host_keys
        work.agreed = agreeing(yes)
        run(work, phases)


@host.command(short_help="Start no new runs there and wait for those that work.")
@name_argument
@timeout_option
@common_options
@click.pass_obj
def drain(settings: Settings, name: str, timeout: float | None) -> None:
    """Start no new runs on a host and wait until those that work there have ended.

    It stays so, also over applies, until dagfleet host undrain. Its code servers go on serving.
    """
    fleet_file = _known(settings, name)
    drained(settings, fleet_file, name, timeout=timeout)
    settings.terminal.say(
        f"Work on it, or take it out: dagfleet host rm {name}. Runs again: dagfleet host undrain {name}"
    )


@host.command(short_help="Start runs there again.")
@name_argument
@common_options
@click.pass_obj
def undrain(settings: Settings, name: str) -> None:
    """Start runs on a drained host again."""
    from dagfleet.control.queueing import RunQueue
    from dagfleet.phases.draining import let_go
    from dagfleet.probe.target import target

    fleet_file = _known(settings, name)
    was = let_go(RunQueue(target(fleet_file, fleet_file.fleet.control.host)), name)
    settings.terminal.say(f"{name} gets runs again." if was else f"{name} was not drained.")


@host.command(short_help="Take a host out and leave a clean machine.")
@name_argument
@click.option("--offline", is_flag=True, help="It is dead: revoke its certificates and forget it.")
@timeout_option
@yes_option
@wait_option
@common_options
@click.pass_obj
def rm(
    settings: Settings, name: str, *, offline: bool, timeout: float | None, yes: bool, wait: float
) -> None:
    """Take a host out of fleet.yml and leave a clean machine: no unit, container, user or file of ours.

    Drains it first, takes it away from the control plane, then cleans it: its keys go with it. Packages that
    were there before Dagfleet came stay. Stopped anywhere, the same command goes on.
    """
    from dagfleet.cli.leaving import leave

    leave(settings, name, offline=offline, timeout=timeout, yes=yes, wait=wait)


def drained(settings: Settings, fleet_file: "FleetFile", name: str, *, timeout: float | None) -> None:
    """Drain a host and say so; raises DagfleetError when its runs do not end in time."""
    import time

    from dagfleet.control.connect import plane
    from dagfleet.control.queueing import RunQueue
    from dagfleet.fleet.values import secret_name
    from dagfleet.phases.draining import empty, hold
    from dagfleet.phases.interrupted import StoppedError
    from dagfleet.probe.target import target
    from dagfleet.probe.units import count
    from dagfleet.secrets import Secrets

    terminal, fleet = settings.terminal, fleet_file.fleet
    users = Secrets(fleet_file).resolve(secret_name(fleet.control.web.users) or "")
    started = time.monotonic()
    held = hold(RunQueue(target(fleet_file, fleet.control.host)), fleet, name)
    terminal.line("drain", f"{name} gets no new runs")
    waiting = [each for each in fleet.locations_on(name) if fleet.locations[each].hosts == (name,)]
    waiting = list(dict.fromkeys([*held.locations, *waiting]))
    if waiting:
        verb = "waits" if len(waiting) == 1 else "wait"
        terminal.line("", f"what is queued of {', '.join(waiting)} {verb} until it does")
    try:
        with plane(fleet_file, users) as asked:
            ended = empty(fleet_file, name, asked, terminal, timeout=timeout)
    except KeyboardInterrupt:
        raise StoppedError(
            f"Stopped waiting; {name} still gets no new runs",
            fix=f"dagfleet host drain {name} waits again, dagfleet host undrain {name} gives it runs",
        ) from None
    text = f"{name} is empty" + (f", {count(ended, 'run')} ended meanwhile" if ended else "")
    terminal.line("drain", text, time.monotonic() - started)


def _known(settings: Settings, name: str) -> "FleetFile":
    """Read the fleet; raises ConfigurationError when it has no such host."""
    from dagfleet.cli.settings import selected_hosts

    fleet_file = settings.fleet_file()
    selected_hosts(fleet_file, (name,))
    return fleet_file

"""What commands that change a fleet start with: secrets, a log, the lock to take."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagfleet.cli.settings import Settings

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile
    from dagfleet.phases.work import Work


@contextmanager
def working(
    settings: Settings,
    fleet_file: "FleetFile",
    hosts: Sequence[str],
    *,
    log: str,
    command: str = "dagfleet apply",
    secrets: bool = True,
) -> "Iterator[Work]":
    """Open the work on `hosts`; `command` is what finishes it when it is stopped. Connects to nothing yet.

    Without `secrets` none is asked for: nobody has to unlock a password manager to take things away.
    """
    from dagfleet.phases.failover_journal import refuse_half_way
    from dagfleet.phases.work import Work
    from dagfleet.probe.connection import Connection
    from dagfleet.probe.lock import FleetLock
    from dagfleet.probe.target import target
    from dagfleet.runner.log import Log
    from dagfleet.secrets import Secrets

    if log != "failover":
        refuse_half_way(fleet_file)
    known = Secrets(fleet_file)
    values = known.resolve_all() if secrets else {}
    mask = known.masker()
    control = target(fleet_file, fleet_file.fleet.control.host)
    with Log(fleet_file.state / "logs", log, mask) as opened:
        yield Work(
            fleet_file=fleet_file,
            hosts=list(hosts),
            progress=settings.terminal,
            secrets=values,
            mask=mask,
            log=opened,
            lock=FleetLock(
                Connection(control), fleet_name=fleet_file.fleet.name, command=command_line(sys.argv)
            ),
            command=command,
        )


def agreeing(yes: bool) -> "Callable[[str], bool]":
    """Return what asks the person whether to go on, unless `yes` says so or nobody is there to ask."""
    import click

    return lambda question: yes or not sys.stdin.isatty() or click.confirm(question, default=True)


def command_line(arguments: list[str]) -> str:
    """Return the command as other people read it in the lock."""
    return " ".join(["dagfleet", *arguments[1:]])

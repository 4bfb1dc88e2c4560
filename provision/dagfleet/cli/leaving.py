"""What `dagfleet host rm` does, in order."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dagfleet.cli.host import drained
from dagfleet.cli.settings import Settings, selected_hosts
from dagfleet.errors import DagfleetError

if TYPE_CHECKING:
    from pathlib import Path

    from dagfleet.fleet import FleetFile
    from dagfleet.phases.phase import Phase


def leave(
    settings: Settings, name: str, *, offline: bool, timeout: float | None, yes: bool, wait: float
) -> None:
    """Take a host out; fleet.yml is written once nothing speaks against it, the machine is cleaned last."""
    from dagfleet.cli.working import agreeing, working
    from dagfleet.fleet.comings import leaving
    from dagfleet.phases.apply import PHASES
    from dagfleet.phases.certificates import Certificates
    from dagfleet.phases.finishing import Done
    from dagfleet.phases.leaving import EndConnections, EndRuns, Forget, RevokeHost
    from dagfleet.phases.phase import run
    from dagfleet.phases.removing import Remove, farewell, farewell_of
    from dagfleet.phases.writing import WriteFleet
    from dagfleet.probe.target import target

    fleet_file = settings.fleet_file()
    if name not in fleet_file.fleet.hosts and (left := farewell_of(fleet_file, name)):
        _go_on(settings, fleet_file, name, left, offline=offline, wait=wait)
        return
    selected_hosts(fleet_file, (name,))
    text = fleet_file.path.read_text(encoding="utf-8")
    changed, without = leaving(fleet_file, text, name)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Take {name} out of {fleet_file.fleet.name}?", abort=True)
    gone = target(fleet_file, name)
    write = WriteFleet(before=text, after=changed, what=f"host {name} taken out")
    first: Sequence[Phase] = [write]
    if offline:
        _refuse_alive(fleet_file, name)
        revoke = RevokeHost(name)
        first = [revoke, write]
        last: Sequence[Phase] = [EndConnections(revoke), EndRuns(name), Forget(gone)]
    else:
        drained(settings, fleet_file, name, timeout=timeout)
        inventory = farewell(fleet_file, [name])
        last = [Remove(inventory=inventory, hosts=(name,)), Forget(gone, inventory)]
    phases: list[Phase] = []
    for phase in PHASES:
        phases += [*first, phase] if isinstance(phase, Certificates) else [phase]
        if isinstance(phase, Done):
            phases[-1:] = [*last, phase]
    command = f"dagfleet host rm {name}" + (" --offline" if offline else "")
    with working(settings, without, list(without.fleet.hosts), log="rm", command=command) as work:
        work.wait = wait
        work.agreed = agreeing(yes)
        run(work, phases)
    _say_gone(settings, name, offline=offline)


def _go_on(
    settings: Settings, fleet_file: "FleetFile", name: str, left: "Path", *, offline: bool, wait: float
) -> None:
    """Finish what was stopped after fleet.yml had lost the host."""
    from dagfleet.cli.working import working
    from dagfleet.phases.apply import PHASES
    from dagfleet.phases.finishing import Done
    from dagfleet.phases.leaving import Forget
    from dagfleet.phases.phase import run
    from dagfleet.phases.removing import Remove, reached_by

    forget = Forget(reached_by(fleet_file, left, name), left)
    last: Sequence[Phase] = [forget] if offline else [Remove(inventory=left, hosts=(name,)), forget]
    phases = [*(phase for phase in PHASES if not isinstance(phase, Done)), *last, Done()]
    command = f"dagfleet host rm {name}"
    with working(settings, fleet_file, list(fleet_file.fleet.hosts), log="rm", command=command) as work:
        work.wait = wait
        run(work, phases)
    _say_gone(settings, name, offline=offline)


def _refuse_alive(fleet_file: "FleetFile", name: str) -> None:
    from dagfleet.probe.survey import survey
    from dagfleet.probe.target import target

    if name in survey([target(fleet_file, name)]).reports:
        raise DagfleetError(
            f"{name} answers, so it is not dead", fix=f"dagfleet host rm {name} also leaves a clean machine"
        )


def _say_gone(settings: Settings, name: str, *, offline: bool) -> None:
    if offline:
        settings.terminal.say(
            f"{name} is out, its certificates are refused. Should it come back: install it anew before use."
        )
    else:
        settings.terminal.say(f"{name} is out, and a clean machine again.")

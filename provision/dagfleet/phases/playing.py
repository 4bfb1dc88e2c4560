"""Running a playbook as a part of a phase: a moving line per host meanwhile, a line per host at its end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import MappingProxyType

from dagfleet.errors import DagfleetError
from dagfleet.phases.work import Work
from dagfleet.runner.events import Event
from dagfleet.runner.outcome import HostOutcome, Outcome
from dagfleet.runner.playbook import playbook


def play(
    work: Work,
    label: str,
    name: str,
    *,
    hosts: Sequence[str],
    tags: Sequence[str] = (),
    quiet: bool = False,
    variables: Mapping[str, object] = MappingProxyType({}),
    inventory: Path | None = None,
) -> Outcome:
    """Run playbook `name` on the hosts; those it stops on are left behind in `work.stopped`.

    `tags` are the roles to run, all of them by default. `quiet` prints failures only; `variables` come
    before all others, `inventory` in place of fleet.yml.
    Raises DagfleetError when the playbook could not run at all.
    """
    if not hosts:
        return Outcome()
    view = _View(label, hosts)
    with work.progress.moving(view.rows):
        ansible = replace(work.ansible, inventory=inventory) if inventory else work.ansible
        outcome = ansible.run(playbook(name), limit=hosts, tags=tags, variables=variables, follow=view.follow)
    if outcome.error:
        raise DagfleetError(
            f"playbook {name} could not run: {outcome.error}", fix=f"everything it said: {work.log.path}"
        )
    width = max(map(len, hosts))
    for host in hosts:
        part = outcome.hosts.get(host, HostOutcome())
        if part.changes:
            work.changes[host] = work.changes.get(host, 0) + len(part.changes)
        if part.failure:
            work.stopped[host] = part.failure
            work.progress.line(label, f"{host:<{width}}  stopped at {part.failure.task}", part.seconds)
            work.progress.say(f"{'':<{9 + width}}  {part.failure.sentence}")
            for line in part.failure.lines:
                work.progress.say(f"{'':<{9 + width}}    {line}")
        elif not quiet:
            roles = ", ".join(changed_roles(part))
            changed = f"{len(part.changes)} changed"
            work.progress.line(label, f"{host:<{width}}  {roles:<44} {changed:>12}", part.seconds)
        label = label if quiet else ""
    return outcome


def changed_roles(part: HostOutcome) -> list[str]:
    """Return the roles that changed something, in their order."""
    return list(dict.fromkeys(change.task.partition(":")[0] for change in part.changes if ":" in change.task))


class _View:
    """What the moving lines show."""

    def __init__(self, label: str, hosts: Sequence[str]) -> None:
        self._label = label
        self._width = max(map(len, hosts))
        self._tasks = dict.fromkeys(hosts, "connecting")
        self._started = time.monotonic()
        self._turn = Lock()

    def follow(self, event: Event, outcome: Outcome) -> None:
        """Take over what each host is at."""
        del event
        with self._turn:
            for host, part in outcome.hosts.items():
                if part.failure:
                    self._tasks[host] = f"stopped: {part.failure.sentence}"
                elif part.current:
                    self._tasks[host] = part.current

    def rows(self) -> list[tuple[str, str, float]]:
        """Return a row per host."""
        seconds = time.monotonic() - self._started
        with self._turn:
            return [
                ("" if number else self._label, f"{host:<{self._width}}  {task}", seconds)
                for number, (host, task) in enumerate(self._tasks.items())
            ]

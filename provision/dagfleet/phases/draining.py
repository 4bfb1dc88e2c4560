"""Emptying a host: no new runs there, and waiting until those that work there have ended."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagfleet.control.plane import RunState
from dagfleet.control.queueing import RunQueue
from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.progress import Progress
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target
from dagfleet.probe.units import count

if TYPE_CHECKING:
    from dagfleet.control.plane import Plane
    from dagfleet.fleet import Fleet, FleetFile
    from dagfleet.probe.connection import Connection

REASON = "host drain"
POLL_SECONDS = 2.0
# A launch that was under way while the queue heard of the drain shows itself within this.
QUIET_LOOKS = 2
HOST_TAG = "multihost_docker/host_name"
# A container's labels are the truth; a run's tags are a hint that may be late.
_CONTAINERS = """\
if command -v docker >/dev/null; then
    docker ps --filter label=dagster/managed --format '{{.Label "dagster/run_id"}}'
fi
"""


@dataclass(frozen=True)
class Held:
    """What holds new runs back: the host itself, and locations that could otherwise start processes there."""

    host: str
    locations: tuple[str, ...]
    already: tuple[str, ...] = ()
    """Locations that somebody had paused before."""


def hold(queue: RunQueue, fleet: "Fleet", host: str) -> Held:
    """Let the queue start no more runs on the host.

    The launcher keeps containers away from a paused host. Which host of a pool a process runs on is decided
    by the code server that answers, so locations of a host without Docker wait as a whole.
    """
    paused = {(each.kind, each.name): each for each in queue.pauses()}
    queue.pause("host", host, REASON)
    names = fleet.locations_on(host) if not fleet.hosts[host].runs_docker else {}
    ours = [name for name in names if ("location", name) not in paused]
    for name in ours:
        queue.pause("location", name, _because_of(host))
    already = tuple(
        name
        for name in names
        if (pause := paused.get(("location", name))) and pause.reason != _because_of(host)
    )
    return Held(host, tuple(names), already)


def let_go(queue: RunQueue, host: str) -> bool:
    """Let the queue start runs on the host again; tell whether it was drained."""
    paused = queue.pauses()
    for each in paused:
        if each.kind == "location" and each.reason == _because_of(host):
            queue.resume("location", each.name)
    return queue.resume("host", host)


def empty(
    fleet_file: "FleetFile",
    host: str,
    plane: "Plane",
    progress: Progress,
    *,
    timeout: float | None,
    sleep: Callable[[float], None] = time.sleep,
    containers: "Callable[[], set[str]] | None" = None,
) -> int:
    """Wait until no run works on the host and return how many there were at first.

    Raises DagfleetError after `timeout` seconds, UnreachableError when the host does not answer meanwhile.
    """
    ask = containers or (lambda: _containers(fleet_file, host))
    deadline = None if timeout is None else time.monotonic() + timeout
    seen: dict[str, None] = {}
    quiet = 0
    with ExitStack() as stack:
        now = stack.enter_context(progress.working("drain", f"{host}: looking for runs"))
        while True:
            left = residents(fleet_file.fleet, host, plane.active(), ask())
            seen |= dict.fromkeys(left)
            quiet = quiet + 1 if not left else 0
            if quiet >= QUIET_LOOKS:
                return len(seen)
            if deadline is not None and time.monotonic() >= deadline:
                raise still_busy(host, left, timeout or 0)
            now(f"{host}: {_runs(left)} left" if left else f"{host}: no run left, looking once more")
            sleep(POLL_SECONDS)


def residents(
    fleet: "Fleet", host: str, active: "list[RunState]", containers: set[str]
) -> dict[str, str | None]:
    """Return the runs that work on the host, or may be about to, with their jobs where those are known."""
    jobs = {run.run_id: run.job for run in active}
    found: dict[str, str | None] = {run_id: jobs.get(run_id) for run_id in sorted(containers)}
    mine = fleet.locations_on(host)
    for run in active:
        tag = run.tags.get(HOST_TAG)
        # Without a tag yet, a starting run may still come to any host of its location's pool.
        coming = run.location in mine and (run.status == "STARTING" or not fleet.hosts[host].runs_docker)
        if tag == host or (not tag and coming):
            found[run.run_id] = run.job
    return found


def still_busy(host: str, left: Mapping[str, str | None], seconds: float) -> DagfleetError:
    """Return what a drain says whose time is over."""
    names = ", ".join(
        f"{run_id[:8]} ({job})" if job else run_id[:8] for run_id, job in list(left.items())[:3]
    )
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    verb = "works" if len(left) == 1 else "work"
    return DagfleetError(
        f"{_runs(left)} still {verb} on {host} after {seconds:.0f} s: {names}{more}",
        fix=f"{host} stays without new runs: dagfleet host drain {host} waits again, "
        f"dagfleet host undrain {host} gives it runs",
    )


def _runs(left: Mapping[str, str | None]) -> str:
    return count(len(left), "run")


def _because_of(host: str) -> str:
    return f"drain of host {host}"


def _containers(fleet_file: "FleetFile", host: str) -> set[str]:
    def ask(connection: "Connection") -> set[str]:
        return set(connection.run(_CONTAINERS).stdout.split())

    answer = on_each([target(fleet_file, host)], ask)[host]
    if isinstance(answer, UnreachableError):
        answer.fix = f"if {host} is dead: dagfleet host rm {host} --offline"
        raise answer
    return answer

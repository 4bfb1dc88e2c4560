"""What a playbook did, host by host, built up event by event."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dagfleet.runner.events import Ended, Event, HostStarted, Status, TaskEnded
from dagfleet.runner.reason import Failure, failure


@dataclass(frozen=True)
class Change:
    """A task that changed something, or would; `diff` holds unified diffs."""

    task: str
    diff: tuple[str, ...] = ()


@dataclass
class HostOutcome:
    """One host's part of a playbook; `seconds` until its last result."""

    changes: list[Change] = field(default_factory=list)
    failure: Failure | None = None
    current: str | None = None
    seconds: float = 0.0


@dataclass
class Outcome:
    """All hosts' parts. `error` is what ansible-playbook itself stumbled over, before any host."""

    hosts: dict[str, HostOutcome] = field(default_factory=dict)
    error: str | None = None
    finished: bool = False

    def take(self, event: Event, *, elapsed: float) -> None:
        """Account for one event."""
        match event:
            case HostStarted(host, task):
                self._host(host).current = task
            case TaskEnded():
                part = self._host(event.host)
                part.seconds = elapsed
                part.current = None
                if event.status is Status.CHANGED:
                    part.changes.append(Change(event.task, event.diff))
                elif event.status in {Status.FAILED, Status.UNREACHABLE} and part.failure is None:
                    part.failure = failure(event)
            case Ended(hosts):
                self.finished = True
                for host, counts in hosts.items():
                    # A rescued failure is none.
                    if not counts.get("failures") and not counts.get("unreachable"):
                        self._host(host).failure = None

    @property
    def failures(self) -> list[Failure]:
        """Return every host's failure."""
        return [part.failure for part in self.hosts.values() if part.failure]

    @property
    def changed(self) -> int:
        """Return how many tasks changed something, on all hosts together."""
        return sum(len(part.changes) for part in self.hosts.values())

    def ok_hosts(self, hosts: Iterable[str]) -> list[str]:
        """Return those of `hosts` that nothing stopped."""
        return [host for host in hosts if host not in self.hosts or self.hosts[host].failure is None]

    def _host(self, name: str) -> HostOutcome:
        return self.hosts.setdefault(name, HostOutcome())

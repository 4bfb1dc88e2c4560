"""Phase: see what certificates hosts have, before any is changed."""

import time

from dagfleet.phases.checking import reached
from dagfleet.phases.work import Work
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.target import target
from dagfleet.probe.units import count


class Look:
    """Leaves out hosts that no apply has reached yet: they get theirs from it."""

    title = "hosts"

    def run(self, work: Work) -> None:
        """Survey the hosts; raises UnreachableError when one does not answer."""
        started = time.monotonic()
        found = reached(work, self.title, [target(work.fleet_file, host) for host in work.hosts])
        work.reports = found.reports
        work.hosts = [host for host in work.hosts if leaves(found.reports[host])]
        new = [host for host in found.reports if host not in work.hosts]
        later = f", {', '.join(new)} left to the first dagfleet apply" if new else ""
        text = f"{count(len(work.hosts), 'host')} with certificates{later}"
        work.progress.line(self.title, text, time.monotonic() - started)

"""Phase: take the fleet's lock."""

from dagfleet.phases.meeting import accept_new, require_known
from dagfleet.phases.work import Work
from dagfleet.probe.lock import LEASE_SECONDS, Holder, here
from dagfleet.probe.target import target


class Lock:
    """Only one apply at a time, wherever it is started."""

    title = "lock"

    def run(self, work: Work) -> None:
        """Take the lock, waiting as long as `--wait` allows."""
        control = target(work.fleet_file, work.fleet.control.host)
        if work.accept_new_host_keys:
            others = [target(work.fleet_file, host) for host in work.hosts if host != control.name]
            accept_new([control, *others], work.progress)
        require_known(control)
        with work.progress.working(self.title, "taking the lock") as now:

            def waiting(holder: Holder) -> None:
                now(f'waiting for {holder.who}, who runs "{holder.command}"')

            work.lock.take(wait=work.wait, waiting=waiting)
        work.progress.line(self.title, f"taken by {here()}, lease {LEASE_SECONDS} s")

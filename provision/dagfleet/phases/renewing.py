"""Phase: issue leaves again and have them taken up, without an apply."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dagfleet.phases.authorities import Store
from dagfleet.phases.due import due_certificates
from dagfleet.phases.issuing import issue, issue_operators, keep_copies
from dagfleet.phases.playing import play
from dagfleet.phases.work import Work
from dagfleet.probe.units import count

TAKE_UP = "take_up"


@dataclass(frozen=True, kw_only=True)
class Renew:
    """Renews what is due, or `everything`. `operators` says whether the operator's own are meant, too."""

    everything: bool
    operators: bool
    title: str = "certs"

    def run(self, work: Work) -> None:
        """Sign on this machine, then let each host with something new take it up; others are not touched."""
        started = time.monotonic()
        store = Store(work.fleet_file)
        keep_copies(work)
        due = due_certificates(
            work.fleet,
            {host: work.reports[host] for host in work.going},
            authority_keys=store.keys(),
            revoked=store.revoked(),
            also=lambda _spec, _facts: "all are renewed" if self.everything else None,
            now=datetime.now(UTC),
        )
        issued = issue(work, store, self.title, due)
        own = []
        if self.operators:
            own = issue_operators(
                work, store, lambda _spec, _facts: "all are renewed" if self.everything else None
            )
        text = f"{count(issued, 'certificate')} issued for {', '.join(due)}" if issued else "nothing due"
        if own:
            text += f", the operator's {' and '.join(own)} too"
        work.progress.line(self.title, text, time.monotonic() - started)
        if due:
            work.touched = True
            play(work, "hosts", TAKE_UP, hosts=[host for host in due if host in work.going])

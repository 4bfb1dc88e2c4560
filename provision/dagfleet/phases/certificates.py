"""Phase: every leaf valid and named as fleet.yml says; keys never leave their host."""

import time
from datetime import UTC, datetime

from dagfleet.phases.authorities import Store
from dagfleet.phases.due import due_certificates
from dagfleet.phases.issuing import issue, issue_operators, keep_copies
from dagfleet.phases.launcher_key import know_launcher_key
from dagfleet.phases.work import Work
from dagfleet.probe.units import count


class Certificates:
    """Creates the authorities on the first apply, issues what is due, touches no host where nothing is."""

    title = "certs"

    def run(self, work: Work) -> None:
        """Let hosts with something due make their keys and requests, then sign."""
        started = time.monotonic()
        store = Store(work.fleet_file)
        due = due_certificates(
            work.fleet,
            {host: work.reports[host] for host in work.going},
            authority_keys=store.keys(),
            revoked=store.revoked(),
            now=datetime.now(UTC),
        )
        keep_copies(work)
        for rotation in store.rotations():
            work.progress.line(
                self.title,
                f"{rotation}; this apply keeps to it. Go on with: "
                f"dagfleet certs rotate-ca {rotation.authority}",
            )
        if due or store.lacks_lists():
            store.unlocked()
        if due:
            work.touched = True
        issued = issue(work, store, self.title, due)
        key_made = know_launcher_key(work, self.title)
        issue_operators(work, store)
        made = "authorities created, " if store.created else ""
        whose = f" for {', '.join(due)}" if due else ""
        text = f"{made}{count(issued, 'certificate')} issued{whose}" if issued else f"{made}nothing due"
        if key_made:
            text += f", the launcher's SSH key made on {work.fleet.control.host}"
        work.progress.line(self.title, text, time.monotonic() - started)

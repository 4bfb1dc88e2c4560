"""Phases of a host that leaves: its certificates are refused, its runs ended, the rest forgotten."""

import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dagfleet.control.connect import plane
from dagfleet.control.plane import Plane
from dagfleet.control.queueing import RunQueue
from dagfleet.fleet.values import secret_name
from dagfleet.phases.authorities import Store
from dagfleet.phases.draining import HOST_TAG, let_go
from dagfleet.phases.playing import play
from dagfleet.phases.renewing import TAKE_UP
from dagfleet.phases.revoking import as_haproxy_says, flows, note
from dagfleet.phases.work import Work
from dagfleet.pki.authorities import NAMES
from dagfleet.pki.register import Issued
from dagfleet.probe.target import Target, target
from dagfleet.probe.trust import forget
from dagfleet.probe.units import count


@dataclass
class RevokeHost:
    """Revokes every certificate that a host was ever given; the apply after it brings the lists to all."""

    host: str
    revoked: list[Issued] = field(default_factory=list)
    title: str = "revoke"

    def run(self, work: Work) -> None:
        """Write the revocation lists."""
        started = time.monotonic()
        authorities = Store(work.fleet_file).unlocked()
        for copy in sorted((work.fleet_file.state / "pki" / "leaves" / self.host).glob("*.crt")):
            note(authorities, copy.read_bytes(), name=copy.stem, host=self.host)
        now = datetime.now(UTC)
        for authority in NAMES:
            live = [leaf for leaf in authorities.issued(authority) if leaf.host == self.host]
            mine = [leaf for leaf in live if leaf.not_after > now]
            authorities.revoke(authority, (leaf.serial for leaf in mine))
            self.revoked += mine
        work.touched = True
        text = f"{count(len(self.revoked), 'certificate')} of {self.host}"
        work.progress.line(self.title, text, time.monotonic() - started)


@dataclass(frozen=True)
class EndConnections:
    """Ends what revoked certificates may hold open: connections outlive a reload of HAProxy."""

    after: RevokeHost
    title: str = "revoke"

    def run(self, work: Work) -> None:
        """Run playbooks/take_up.yml with the serials that are refused now."""
        play(
            work,
            self.title,
            TAKE_UP,
            hosts=work.going,
            quiet=True,
            variables={
                "mesh_revoked_flows": flows(work, self.after.revoked),
                "mesh_revoked_serials": [as_haproxy_says(leaf.serial) for leaf in self.after.revoked],
            },
        )


@dataclass(frozen=True)
class EndRuns:
    """Marks the runs of a dead host as canceled: nobody is left who could say what became of them."""

    host: str
    title: str = "runs"

    def run(self, work: Work) -> None:
        """Tell the control plane, which asks the host no more."""
        users = work.secrets[secret_name(work.fleet.control.web.users) or ""]
        with plane(work.fleet_file, users) as asked:
            ended = end_runs(asked, self.host)
        if ended:
            names = ", ".join(run_id[:8] for run_id in ended)
            work.progress.line(self.title, f"{count(len(ended), 'run')} of {self.host} canceled: {names}")


def end_runs(asked: Plane, host: str) -> list[str]:
    """Cancel the active runs whose containers are recorded on the host; return their ids."""
    mine = [run.run_id for run in asked.active() if run.tags.get(HOST_TAG) == host]
    for run_id in mine:
        asked.mark_canceled(run_id)
    return mine


@dataclass(frozen=True)
class Forget:
    """Removes what this machine and the queue still know of a host that has left."""

    gone: Target
    inventory: Path | None = None
    title: str = "done"

    def run(self, work: Work) -> None:
        """Forget certificates, SSH host key, pauses; last the note that there is something to forget."""
        if self.gone.name in work.stopped:
            return
        let_go(RunQueue(target(work.fleet_file, work.fleet.control.host)), self.gone.name)
        shutil.rmtree(work.fleet_file.state / "pki" / "leaves" / self.gone.name, ignore_errors=True)
        forget(self.gone)
        if self.inventory:
            self.inventory.unlink(missing_ok=True)

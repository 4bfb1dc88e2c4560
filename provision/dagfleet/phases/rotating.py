"""Phase: replace an authority by its next generation, in four steps that may each be the last for a while."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.phases.authorities import Store
from dagfleet.phases.due import Objection, due_certificates
from dagfleet.phases.issuing import issue, issue_operators, keep_copies
from dagfleet.phases.playing import play
from dagfleet.phases.renewing import TAKE_UP
from dagfleet.phases.work import Work
from dagfleet.pki import Authorities, CertificateFacts
from dagfleet.pki.rotation import NEW_CLIENTS, NEW_SERVERS, Rotation
from dagfleet.probe.lock import here
from dagfleet.probe.units import count

# Which leaves a step issues again.
_USAGE = {NEW_SERVERS: "server", NEW_CLIENTS: "client"}


@dataclass(frozen=True)
class Rotate:
    """Takes the journal from step to step; a step ends when every host has it, and only then the next begins.

    Stopped anywhere, the same command goes on where the journal says. An apply meanwhile keeps to the step.
    """

    authority: str
    title: str = "rotate"

    def run(self, work: Work) -> None:
        """Go through the steps that are left; leave the journal where it is when a host stays behind."""
        keep_copies(work)
        store = Store(work.fleet_file)
        authorities = store.unlocked()
        rotation: Rotation | None = authorities.begin_rotation(
            self.authority, store.passphrase, years=work.fleet.pki.ca_years, who=here()
        )
        work.touched = True
        while rotation:
            work.lock.confirm()
            rotation = self._step(work, store, rotation)
            if work.stopped:
                return
            rotation = rotation.following()
        authorities.finish_rotation(self.authority)
        name = authorities.signer(self.authority).name
        end = authorities.signer(self.authority).certificate.not_valid_after_utc
        work.progress.line("done", f"{name} alone is trusted now, until {end:%Y-%m-%d}")
        if self.authority == "mesh":
            bundle = authorities.directory / "mesh" / "ca.crt"
            work.progress.say(f"{'':9}Browsers that know the old authority need the new one: {bundle}")

    def _step(self, work: Work, store: Store, rotation: Rotation) -> Rotation:
        started = time.monotonic()
        authorities = store.unlocked()
        authorities.enter(self.authority, rotation)
        hosts = [host for host in self._concerned(work) if host not in rotation.hosts]
        issued = self._issue(work, store, rotation, hosts)
        play(work, self.title, TAKE_UP, hosts=hosts, quiet=True)
        rotation = rotation.with_hosts(*(host for host in hosts if host in work.going))
        authorities.enter(self.authority, rotation)
        what = f", {count(issued, 'certificate')}" if issued else ""
        have = ", ".join(rotation.hosts) or "no host"
        work.progress.line(
            self.title,
            f"{rotation.number} of 4  {rotation.step:<12} {have}{what}",
            time.monotonic() - started,
        )
        return rotation

    def _concerned(self, work: Work) -> list[str]:
        """Return the hosts that have to do with the authority: one without Docker does not know `docker`."""
        mine = {spec.host for spec in certificates(work.fleet) if spec.authority == self.authority}
        return [host for host in work.hosts if host in mine]

    def _issue(self, work: Work, store: Store, rotation: Rotation, hosts: list[str]) -> int:
        if rotation.step not in _USAGE:
            return 0
        old = older(store.unlocked(), rotation)
        due = due_certificates(
            work.fleet,
            {host: work.reports[host] for host in hosts},
            authority_keys=store.keys(),
            revoked=store.revoked(),
            also=old,
            now=datetime.now(UTC),
        )
        issued = issue(work, store, self.title, due)
        if rotation.step == NEW_CLIENTS:
            issued += len(issue_operators(work, store, old))
        return issued


def older(authorities: Authorities, rotation: Rotation) -> Objection:
    """Return what objects to leaves of the old generation that the rotation's step replaces."""
    new = authorities.signer(rotation.authority).key_identifier

    def objection(spec: CertificateSpec, facts: CertificateFacts) -> str | None:
        if spec.authority != rotation.authority or spec.usage != _USAGE[rotation.step]:
            return None
        return None if facts.issuer_key_identifier == new else "its authority is being replaced"

    return objection

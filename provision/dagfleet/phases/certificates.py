"""Phase: every leaf valid and named as fleet.yml says; keys never leave their host."""

import time
from datetime import UTC, datetime
from pathlib import Path

from dagfleet.derive.certificates import certificates
from dagfleet.errors import DagfleetError
from dagfleet.phases.authorities import Store
from dagfleet.phases.due import Due, due_certificates, specs
from dagfleet.phases.playing import play
from dagfleet.phases.work import Work
from dagfleet.pki import inspect, needs_renewal, operator_credentials, request_key_fingerprint
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.units import count


class Certificates:
    """Creates the authorities on the first apply, issues what is due, touches no host where nothing is."""

    title = "certs"

    def run(self, work: Work) -> None:
        """Let hosts with something due make their keys and requests, then sign."""
        started = time.monotonic()
        directory = work.fleet_file.state / "pki"
        store = Store(work.fleet_file)
        due = due_certificates(
            work.fleet,
            {host: work.reports[host] for host in work.going},
            authority_keys=store.keys(),
            now=_now(),
        )
        keep_copies(work)
        issued = 0
        if due:
            store.unlocked()
            work.touched = True
            play(work, self.title, "certificates", hosts=list(due), quiet=True)
            for host in (host for host in due if host in work.going):
                issued += self._sign(work, store, host, due[host])
        for spec in certificates(work.fleet):
            if spec.host is None:
                operator_credentials(directory, spec, days=work.fleet.pki.leaf_days, unlock=store.unlocked)
        made = "authorities created, " if store.created else ""
        whose = f" for {', '.join(due)}" if due else ""
        text = f"{made}{count(issued, 'certificate')} issued{whose}" if issued else f"{made}nothing due"
        work.progress.line(self.title, text, time.monotonic() - started)

    def _sign(self, work: Work, store: Store, host: str, due: list[Due]) -> int:
        folder = work.fleet_file.state / "pki" / "leaves" / host
        wanted = {each.spec.name for each in due}
        keys = store.keys()
        issued = 0
        for spec in specs(work.fleet, host):
            request = folder / f"{spec.name}.csr"
            if not request.is_file():
                raise DagfleetError(
                    f"{host} made no signing request for its certificate {spec.name}",
                    fix=f"apply again; what the host said: {work.log.path}",
                )
            csr = request.read_bytes()
            if spec.name not in wanted:
                # A host that lost its key made a new one meanwhile, and the old certificate fits it no more.
                held = inspect((folder / f"{spec.name}.crt").read_bytes())
                if not needs_renewal(
                    held,
                    spec,
                    _now(),
                    authority_key_identifier=keys[spec.authority],
                    key_fingerprint=request_key_fingerprint(csr),
                ):
                    continue
            write(
                folder / f"{spec.name}.crt",
                store.unlocked().sign_request(csr, spec, work.fleet.pki.leaf_days),
            )
            issued += 1
        return issued


def keep_copies(work: Work) -> None:
    """Write down certificates that hosts have and this machine lacks: another operator has issued them."""
    for host in work.going:
        folder = work.fleet_file.state / "pki" / "leaves" / host
        for name, pem in leaves(work.reports[host]).items():
            if not (folder / f"{name}.crt").exists():
                write(folder / f"{name}.crt", pem.encode())


def write(path: Path, content: bytes) -> None:
    """Write a certificate whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _now() -> datetime:
    return datetime.now(UTC)

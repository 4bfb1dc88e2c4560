"""Issuing what is due: hosts make keys and requests where they must, this machine signs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.errors import DagfleetError
from dagfleet.phases.authorities import Store
from dagfleet.phases.due import Due, Objection, specs
from dagfleet.phases.playing import play
from dagfleet.phases.work import Work
from dagfleet.pki import Authorities, inspect, needs_renewal, operator_credentials, request_key_fingerprint
from dagfleet.pki.files import PUBLIC_FILE, make_private_directory, write_atomically
from dagfleet.probe.findings.certificates import leaves


def issue(work: Work, store: Store, label: str, due: Mapping[str, Sequence[Due]]) -> int:
    """Issue what is due on hosts, and return how many certificates that were.

    Hosts are asked for requests only where this machine has none of the key that they hold, or the key is to
    be replaced: then a new one waits beside the old one until its certificate arrives.
    """
    asking = {
        host: parts
        for host, parts in due.items()
        if any(each.needs_new_key or not _has_request(work, host, each) for each in parts)
    }
    if asking:
        store.unlocked()
        work.touched = True
        new_keys = {
            host: names
            for host, parts in asking.items()
            if (names := [each.spec.name for each in parts if each.needs_new_key])
        }
        variables = {"mesh_new_keys": new_keys} if new_keys else {}
        play(work, label, "certificates", hosts=list(asking), quiet=True, variables=variables)
    return sum(
        _sign(work, store, host, due[host], asked=host in asking) for host in due if host in work.going
    )


def issue_operators(work: Work, store: Store, also: Objection = lambda _spec, _facts: None) -> list[str]:
    """Issue the operator's own identities that are due, and return their names."""
    issued: list[str] = []
    for spec in certificates(work.fleet):
        if spec.host is not None:
            continue

        def unlock(name: str = spec.common_name) -> Authorities:
            issued.append(name)
            return store.unlocked()

        operator_credentials(
            work.fleet_file.state / "pki",
            spec,
            days=work.fleet.pki.leaf_days,
            unlock=unlock,
            again=partial(also, spec),
        )
    return issued


def keep_copies(work: Work) -> None:
    """Write down certificates that hosts have and this machine lacks: another operator has issued them."""
    for host in work.going:
        for name, pem in leaves(work.reports[host]).items():
            path = leaf(work, host, name)
            if not path.exists():
                write(path, pem.encode())


def leaf(work: Work, host: str, name: str, kind: str = "crt") -> Path:
    """Return where this machine keeps a host's certificate, or its request (`csr`)."""
    return work.fleet_file.state / "pki" / "leaves" / host / f"{name}.{kind}"


def write(path: Path, content: bytes) -> None:
    """Write a certificate whole or not at all."""
    make_private_directory(path.parent)
    write_atomically(path, content, mode=PUBLIC_FILE)


def _has_request(work: Work, host: str, due: Due) -> bool:
    request = leaf(work, host, due.spec.name, "csr")
    return request.is_file() and due.key == request_key_fingerprint(request.read_bytes())


def _sign(work: Work, store: Store, host: str, due: Sequence[Due], *, asked: bool) -> int:
    wanted = {each.spec.name for each in due}
    issued = 0
    for spec in specs(work.fleet, host):
        request = leaf(work, host, spec.name, "csr")
        if spec.name not in wanted and not asked:
            continue
        if not request.is_file():
            raise DagfleetError(
                f"{host} made no signing request for its certificate {spec.name}",
                fix=f"apply again; what the host said: {work.log.path}",
            )
        csr = request.read_bytes()
        if spec.name not in wanted and not _lost_its_key(work, store, spec, csr):
            continue
        write(leaf(work, host, spec.name), store.unlocked().sign_request(csr, spec, work.fleet.pki.leaf_days))
        issued += 1
    return issued


def _lost_its_key(work: Work, store: Store, spec: CertificateSpec, csr: bytes) -> bool:
    """Tell whether a host made a new key meanwhile, and the old certificate fits it no more."""
    held = inspect(leaf(work, spec.host or "", spec.name).read_bytes())
    reason = needs_renewal(
        held,
        spec,
        datetime.now(UTC),
        authority_keys=store.keys()[spec.authority],
        key_fingerprint=request_key_fingerprint(csr),
    )
    return reason is not None

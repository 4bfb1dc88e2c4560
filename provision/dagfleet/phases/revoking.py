"""Phase: refuse certificates everywhere from now on, and give their rightful owners new keys."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.errors import DagfleetError
from dagfleet.phases.authorities import Store
from dagfleet.phases.due import due_certificates
from dagfleet.phases.issuing import issue, issue_operators, keep_copies
from dagfleet.phases.playing import play
from dagfleet.phases.renewing import TAKE_UP
from dagfleet.phases.work import Work
from dagfleet.pki import Authorities, inspect, operator_files
from dagfleet.pki.authorities import NAMES
from dagfleet.pki.finding import named
from dagfleet.pki.register import Issued
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.units import count


@dataclass(frozen=True)
class Revoke:
    """Revokes all leaves that `name` means (`pki.finding.named`)."""

    name: str
    title: str = "revoke"

    def run(self, work: Work) -> None:
        """Write the lists, make new keys, then bring both to every host; connections of old ones end."""
        started = time.monotonic()
        keep_copies(work)
        store = Store(work.fleet_file)
        authorities = store.unlocked()
        take_note(work, authorities)
        now = datetime.now(UTC)
        meant: list[Issued] = []
        # All of them before the first: a name that means nothing revokes nothing.
        live = {
            authority: [leaf for leaf in authorities.issued(authority) if leaf.not_after > now]
            for authority in NAMES
        }
        chosen = {leaf.serial for leaf in named(self.name, chain.from_iterable(live.values()))}
        for authority, issued in live.items():
            mine = [leaf for leaf in issued if leaf.serial in chosen]
            if mine:
                authorities.revoke(authority, (leaf.serial for leaf in mine))
                meant += mine
        work.touched = True
        work.progress.line(
            self.title,
            f"{count(len(meant), 'certificate')} of {', '.join(sorted({leaf.identity for leaf in meant}))}",
            time.monotonic() - started,
        )
        self._replace(work, store)
        variables = {
            "mesh_revoked_flows": flows(work, meant),
            "mesh_revoked_serials": [as_haproxy_says(leaf.serial) for leaf in meant],
        }
        play(work, "hosts", TAKE_UP, hosts=work.going, variables=variables)
        if work.stopped:
            raise DagfleetError(
                f"{', '.join(work.stopped)} may still accept what was revoked",
                fix=f"{work.command} again once {'it answers' if len(work.stopped) == 1 else 'they answer'}; "
                "until then keep the thief away from there by other means",
            )
        work.progress.line("done", "refused by every HAProxy of the fleet")

    def _replace(self, work: Work, store: Store) -> None:
        started = time.monotonic()
        due = due_certificates(
            work.fleet,
            work.reports,
            authority_keys=store.keys(),
            revoked=store.revoked(),
            now=datetime.now(UTC),
        )
        issued = issue(work, store, self.title, due)
        own = issue_operators(work, store)
        if issued or own:
            whom = ", ".join([*due, *(["the operator"] if own else [])])
            text = f"{count(issued + len(own), 'certificate')} with new keys for {whom}"
            work.progress.line("certs", text, time.monotonic() - started)
        # Their owners first: they have something else to show before the old is refused elsewhere.
        play(work, "hosts", TAKE_UP, hosts=[host for host in due if host in work.going], quiet=True)


def as_haproxy_says(serial: int) -> str:
    """Return a serial as HAProxy's `ssl_c_serial,hex` has it: the bytes that stand in DER."""
    return serial.to_bytes(serial.bit_length() // 8 + 1, "big").hex().upper()


def take_note(work: Work, authorities: Authorities) -> None:
    """Write down leaves in use that this store has not signed itself, so that they can be revoked."""
    for spec in certificates(work.fleet):
        for pem in _in_use(work, spec):
            note(authorities, pem, name=spec.name, host=spec.host)


def note(authorities: Authorities, pem: bytes, *, name: str, host: str | None) -> None:
    """Write down one leaf of ours, by the authority that it says has signed it."""
    facts = inspect(pem)
    if facts.authority:
        authorities.take_note(
            facts.authority.authority,
            Issued(
                serial=facts.serial,
                fingerprint=facts.fingerprint,
                generation=facts.authority.generation,
                name=name,
                host=host,
                identity=facts.common_name,
                not_after=facts.not_after,
            ),
        )


def _in_use(work: Work, spec: CertificateSpec) -> list[bytes]:
    if spec.host is None:
        path = operator_files(work.fleet_file.state / "pki", spec).certificate
        return [path.read_bytes()] if path.is_file() else []
    held = leaves(work.reports[spec.host]).get(spec.name) if spec.host in work.reports else None
    return [held.encode()] if held else []


def flows(work: Work, revoked: list[Issued]) -> list[str]:
    """Return the mesh's backends, as regular expressions, to which revoked identities may hold connections.

    A leaf that is not in fleet.yml any more may hold some to any of them.
    """
    registry = {"registry"} if work.fleet.registry else set()
    specs = {f"{spec.host or 'operator'}/{spec.name}": spec for spec in certificates(work.fleet)}
    found: set[str] = set()
    for leaf in revoked:
        spec = specs.get(leaf.label)
        if spec is None:
            found |= {"dockerd", "database", "location-.*"} | registry
        elif spec.usage == "server":
            found |= {"grpc-.*", "db"} if spec.authority == "mesh" else set()
        elif spec.authority == "docker":
            found.add("dockerd")
        else:
            found |= {"location-.*"} if spec.common_name == "gateway" else {"database"} | registry
    return sorted(found)

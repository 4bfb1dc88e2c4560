"""A fleet of two on loopback: real HAProxy, the real phases; files are copied as role mesh's take_up does."""

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.phases.due import specs
from dagfleet.phases.phase import Phase, run
from dagfleet.phases.renewing import Renew
from dagfleet.phases.revoking import Revoke
from dagfleet.phases.rotating import Rotate
from dagfleet.phases.work import Work
from dagfleet.pki import authorities
from dagfleet.pki.keys import generate_key, plain_pem
from dagfleet.pki.rotation import Rotation, write_rotation
from dagfleet.probe.report import HostCertificate, HostReport
from dagfleet.runner.log import Log
from dagfleet.runner.outcome import Change, HostOutcome, Outcome
from dagfleet.secrets import Secrets

from tests.unit.probe.reports import report

ROOT = Path(__file__).parents[3]
ADDRESSES = {"alpha": "127.0.2.1", "beta": "127.0.2.2"}
RELOAD_SECONDS = 30


def loopback_fleet(folder: Path) -> FleetFile:
    """Return the fleet in `folder`, on loopback: a fleet.yml cannot say so, this test can do nothing else."""
    loaded = load_fleet(folder / "fleet.yml")
    hosts = {
        name: host.model_copy(update={"address": ADDRESSES[name]})
        for name, host in loaded.fleet.hosts.items()
    }
    return FleetFile(path=loaded.path, fleet=loaded.fleet.model_copy(update={"hosts": hosts}))


@dataclass(frozen=True)
class Machine:
    """One host: the folder that is its /etc/dagfleet/pki, and its HAProxy."""

    folder: Path
    name: str

    @property
    def pki(self) -> Path:
        return self.folder / "hosts" / self.name

    @property
    def master(self) -> Path:
        return self.folder / f"{self.name}-master.sock"

    def report(self) -> HostReport:
        return report(
            hostname=self.name,
            certificates=tuple(
                HostCertificate(path.name, path.read_text(), Path(f"{path}.key").exists())
                for path in sorted(self.pki.glob("*.pem"))
            ),
        )

    def ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.master))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def worker(self) -> str:
        """Return the process that takes new connections."""
        lines = self.ask("show proc").partition("# workers")[2].splitlines()
        return next((line.split()[0] for line in lines if line and not line.startswith("#")), "")

    def reload(self) -> None:
        before = self.worker()
        os.kill(int((self.folder / f"{self.name}.pid").read_text()), signal.SIGUSR2)
        deadline = time.monotonic() + RELOAD_SECONDS
        while True:
            try:
                if self.worker() not in ("", before):
                    return
            except OSError:
                pass  # The master's socket goes away while it starts itself again.
            assert time.monotonic() < deadline, f"{self.name}'s HAProxy did not take the reload up"
            time.sleep(0.05)

    def make_requests(self, fleet_file: FleetFile, replaced: Sequence[str]) -> None:
        """What playbooks/certificates.yml does: keys stay here, requests travel."""
        self.pki.mkdir(parents=True, exist_ok=True)
        for spec in specs(fleet_file.fleet, self.name):
            key = self.pki / f"{spec.name}.pem.key{'.next' if spec.name in replaced else ''}"
            if not key.exists():
                key.write_bytes(plain_pem(generate_key()))
            private: Any = serialization.load_pem_private_key(key.read_bytes(), None)
            request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
            path = fleet_file.state / "pki" / "leaves" / self.name / f"{spec.name}.csr"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(request.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def take_up(self, fleet_file: FleetFile, flows: Sequence[str], serials: Sequence[str]) -> bool:
        """What playbooks/take_up.yml does; tell whether something was new."""
        pki = fleet_file.state / "pki"
        mine = list(specs(fleet_file.fleet, self.name))
        files = {f"{spec.name}.pem": pki / "leaves" / self.name / f"{spec.name}.crt" for spec in mine}
        for authority in sorted({spec.authority for spec in mine}):
            files[f"{authority}-ca.crl"] = pki / authority / "ca.crl"
            files[f"{authority}-ca.crt"] = pki / authority / "ca.crt"
        changed = [name for name, source in files.items() if _differ(source, self.pki / name)]
        for name in changed:
            if (following := self.pki / f"{name}.key.next").exists():
                following.replace(self.pki / f"{name}.key")
            unfinished = self.pki / f".{name}"
            unfinished.write_bytes(files[name].read_bytes())
            unfinished.replace(self.pki / name)
        if changed and self.master.exists():
            self.reload()
        if serials:
            script = str(ROOT / "roles/mesh/files/end-connections")
            arguments = ["|".join(flows) or "-", " ".join(serials), str(self.master)]
            subprocess.run([script, *arguments], check=True, timeout=60, stdout=subprocess.DEVNULL)
        return bool(changed)


def _differ(source: Path, target: Path) -> bool:
    return not target.exists() or source.read_bytes() != target.read_bytes()


@dataclass(frozen=True)
class LoopbackAnsible:
    """Runs the two playbooks that certificates need, on folders."""

    fleet_file: FleetFile

    def run(
        self,
        playbook: Path,
        *,
        limit: Sequence[str] = (),
        tags: Sequence[str] = (),
        variables: Mapping[str, Any],
        follow: Callable[..., None],
    ) -> Outcome:
        del tags, follow
        outcome = Outcome(finished=True)
        for name in limit:
            machine = Machine(self.fleet_file.directory, name)
            part = outcome.hosts.setdefault(name, HostOutcome())
            if playbook.stem == "certificates":
                machine.make_requests(self.fleet_file, variables.get("mesh_new_keys", {}).get(name, ()))
            elif machine.take_up(
                self.fleet_file,
                variables.get("mesh_revoked_flows", ()),
                variables.get("mesh_revoked_serials", ()),
            ):
                part.changes.append(Change("mesh: Write certificates and authorities"))
        return outcome


class LoopbackWork(Work):
    """Work whose playbooks run on folders."""

    @property
    def ansible(self) -> Any:
        return LoopbackAnsible(self.fleet_file)


class Printed:
    """A Progress for people who read the test's output."""

    def line(self, label: str, text: str, seconds: float | None = None) -> None:
        del seconds
        print(label, text, flush=True)

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def working(self, label: str, text: str) -> Any:
        del label, text
        return nullcontext(lambda _now: None)

    def moving(self, rows: object) -> Any:
        del rows
        return nullcontext()


class NoLock:
    """tests/unit/probe/test_lock.py has the real one."""

    def __enter__(self) -> "NoLock":
        return self

    def __exit__(self, *error: object) -> None:
        """Give nothing back."""

    def confirm(self) -> None:
        """Nobody else is here."""


class Look:
    """What hosts have, read from their folders."""

    title = "hosts"

    def run(self, work: Work) -> None:
        work.reports = {name: Machine(work.fleet_file.directory, name).report() for name in work.fleet.hosts}


PHASES: dict[str, Callable[..., Phase]] = {
    "renew": lambda: Renew(everything=True, operators=True),
    "rotate": Rotate,
    "revoke": Revoke,
}


def operate(folder: Path, action: str, *arguments: str) -> None:
    """Do one thing to the fleet, as `dagfleet certs` does."""
    fleet_file = loopback_fleet(folder)
    secrets = Secrets(fleet_file)
    lock: Any = NoLock()
    with Log(folder / "logs", action, lambda text: text) as log:
        work = LoopbackWork(
            fleet_file=fleet_file,
            hosts=list(fleet_file.fleet.hosts),
            progress=Printed(),
            secrets=secrets.resolve_all(),
            mask=lambda text: text,
            log=log,
            lock=lock,
            command=f"dagfleet certs {shlex.join((action, *arguments))}",
        )
        run(work, [Look(), PHASES[action](*arguments)])


def operate_until(folder: Path, step: str, hosts: int, action: str, *arguments: str) -> None:
    """The same, killed as soon as the journal says that `hosts` hosts have a step."""

    def write_and_die(directory: Path, rotation: Rotation) -> None:
        write_rotation(directory, rotation)
        if (rotation.step, len(rotation.hosts)) == (step, hosts):
            os.kill(os.getpid(), signal.SIGKILL)

    authorities.write_rotation = write_and_die
    operate(folder, action, *arguments)

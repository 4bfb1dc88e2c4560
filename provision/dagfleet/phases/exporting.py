"""Phase: a `reader` for somebody else's machine, such as a monitoring system."""

from dataclasses import dataclass, replace
from pathlib import Path

from dagfleet.derive.certificates import certificates
from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.errors import ConfigurationError
from dagfleet.phases.authorities import Store
from dagfleet.phases.work import Work
from dagfleet.pki.files import make_private_directory, write_atomically

# The names that Docker's own client looks for in DOCKER_CERT_PATH.
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"


@dataclass(frozen=True)
class Export:
    """Writes a certificate with a key of its own, so that it can be revoked by itself."""

    identity: str
    folder: Path
    title: str = "export"

    def run(self, work: Work) -> None:
        """Issue it into the folder; raises ConfigurationError when one is there already."""
        if existing := [self.folder / name for name in (KEY, CERTIFICATE) if (self.folder / name).exists()]:
            raise ConfigurationError(
                f"{existing[0]} exists already", fix="choose another folder, or move that one away"
            )
        if over_ssh(work.fleet):
            raise ConfigurationError(
                "with docker.access ssh there are no certificates for Docker, and nobody who may only read",
                fix="write docker.access mesh, or watch the hosts from themselves",
            )
        spec = next(
            spec
            for spec in certificates(work.fleet)
            if spec.host is None and spec.common_name == self.identity
        )
        authorities = Store(work.fleet_file).unlocked()
        key, certificate = authorities.issue(
            replace(spec, name=f"exported-{spec.name}"), work.fleet.pki.leaf_days
        )
        make_private_directory(self.folder)
        bundle = work.fleet_file.state / "pki" / spec.authority / "ca.crt"
        write_atomically(self.folder / KEY, key)
        write_atomically(self.folder / CERTIFICATE, certificate)
        write_atomically(self.folder / AUTHORITY, bundle.read_bytes())
        [issued] = [
            leaf for leaf in authorities.issued(spec.authority) if leaf.serial == _serial(certificate)
        ]
        host = next(name for name, host in work.fleet.hosts.items() if host.runs_docker)
        address, port = work.fleet.hosts[host].address, work.fleet.hosts[host].docker_port
        work.progress.line(
            self.title, f"{self.folder}: {AUTHORITY}, {CERTIFICATE}, {KEY}, until {issued.not_after:%Y-%m-%d}"
        )
        work.progress.say(
            f"{'':9}DOCKER_HOST=tcp://{address}:{port} DOCKER_TLS_VERIFY=1 "
            f"DOCKER_CERT_PATH={self.folder} docker ps"
        )
        work.progress.say(f"{'':9}Take it back with: dagfleet certs revoke {issued.fingerprint[:12]}")


def _serial(certificate: bytes) -> int:
    from dagfleet.pki import inspect

    return inspect(certificate).serial

"""The Docker endpoint of a host: mutual TLS as the launcher uses it, or the operator's own SSH."""

from typing import TYPE_CHECKING, Literal

from dagfleet.derive.certificates import certificates
from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.pki.operator import Unlock, operator_credentials
from dagfleet.probe.shell import ssh
from dagfleet.probe.target import Target, target

if TYPE_CHECKING:
    from docker import DockerClient

    from dagfleet.fleet import FleetFile

Identity = Literal["reader", "launcher"]


def docker_command(host: Target) -> list[str]:
    """Return the argument list that connects its standard input and output with a host's Docker."""
    return ssh(host, ["docker", "system", "dial-stdio"])


API_VERSION = "1.41"  # Docker 20.10; fixed, because asking for it would be network I/O at construction


def docker_endpoint(
    fleet_file: "FleetFile",
    host_name: str,
    identity: Identity,
    *,
    unlock: Unlock | None = None,
    timeout: int = 60,
) -> "DockerClient":
    """Return a client of a host's Docker as `reader` (GET only) or `launcher`; close it after use.

    Connects nothing yet. `timeout` is in seconds, for connecting and between two bytes. The operator's
    certificate is issued through `unlock` when it is missing or ageing; `operator_credentials` says what it
    raises. With docker.access ssh there are no identities, and the operator comes by their own SSH login.
    """
    import docker
    from docker.tls import TLSConfig

    fleet = fleet_file.fleet
    if over_ssh(fleet):
        from dagfleet.image.tunnel import TunnelledClient

        return TunnelledClient(
            docker_command(target(fleet_file, host_name)), version=API_VERSION, timeout=timeout
        )
    spec = next(leaf for leaf in certificates(fleet) if leaf.host is None and leaf.common_name == identity)
    credentials = operator_credentials(
        fleet_file.state / "pki", spec, days=fleet.pki.leaf_days, unlock=unlock
    )
    host = fleet.hosts[host_name]
    client = docker.DockerClient(
        base_url=f"tcp://{host.address}:{host.docker_port}",
        tls=TLSConfig(
            client_cert=(str(credentials.certificate), str(credentials.key)),
            ca_cert=str(credentials.authority),
            verify=True,  # the SDK's default verifies nothing
        ),
        version=API_VERSION,
        timeout=timeout,
    )
    # REQUESTS_CA_BUNDLE in the environment would override the fleet's authority (docker-py#2433).
    client.api.trust_env = False
    return client

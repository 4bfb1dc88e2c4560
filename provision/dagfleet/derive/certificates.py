"""Which certificates a fleet needs: names and addresses follow fleet.yml."""

from dataclasses import dataclass
from typing import Literal

from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.derive.registry import registry_hostname
from dagfleet.fleet.model import Fleet
from dagfleet.fleet.values import is_ipv4

WEB_NAME = "web.dagfleet"


@dataclass(frozen=True, kw_only=True)
class CertificateSpec:
    """One leaf: whose it is, which authority signs it, what it may be used for.

    `host` is None for the operator's own identities. One usage each: a server's leaf cannot act as a client.
    """

    name: str
    host: str | None
    authority: Literal["docker", "mesh"]
    common_name: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    usage: Literal["server", "client"]


def certificates(fleet: Fleet) -> tuple[CertificateSpec, ...]:
    """Return every leaf of the fleet, host by host, the operator's last.

    Where Docker is reached by SSH, its authority signs none.
    """
    leaves: list[CertificateSpec] = []
    for name, host in fleet.hosts.items():
        if host.runs_docker:
            leaves.append(_server(name, host.address, "docker"))
        leaves.append(_server(name, host.address, "mesh"))
        leaves.append(
            CertificateSpec(name="mesh-client", host=name, authority="mesh", common_name=name, usage="client")
        )
        # The standby's are its own, so that those of a control host that is gone can be refused.
        if name in fleet.control_hosts:
            leaves.extend(_control(fleet, name))
    if over_ssh(fleet):
        return tuple(leaf for leaf in leaves if leaf.authority != "docker")
    leaves.append(
        CertificateSpec(name="reader", host=None, authority="docker", common_name="reader", usage="client")
    )
    leaves.append(
        CertificateSpec(
            name="operator-launcher", host=None, authority="docker", common_name="launcher", usage="client"
        )
    )
    return tuple(leaves)


def _server(host: str, address: str, authority: Literal["docker", "mesh"]) -> CertificateSpec:
    return CertificateSpec(
        name=f"{authority}-server",
        host=host,
        authority=authority,
        common_name=host,
        dns_names=(host,),
        ip_addresses=(address,),
        usage="server",
    )


def _control(fleet: Fleet, host: str) -> tuple[CertificateSpec, ...]:
    web = fleet.control.web
    # Where people see another certificate, this one proves the web UI to the operator, by a name of its own.
    shown = (WEB_NAME,) if web.certificate else (web.hostname, *web.extra_names)
    names = dict.fromkeys((*shown, fleet.hosts[host].address))
    return (
        CertificateSpec(name="gateway", host=host, authority="mesh", common_name="gateway", usage="client"),
        CertificateSpec(
            name="launcher", host=host, authority="docker", common_name="launcher", usage="client"
        ),
        CertificateSpec(
            name="web",
            host=host,
            authority="mesh",
            # HAProxy chooses among certificates by this name too.
            common_name=shown[0],
            dns_names=tuple(name for name in names if not is_ipv4(name)),
            ip_addresses=tuple(name for name in names if is_ipv4(name)),
            usage="server",
        ),
        *_registry(fleet),
    )


def _registry(fleet: Fleet) -> tuple[CertificateSpec, ...]:
    if fleet.registry is None:
        return ()
    name = registry_hostname(fleet)
    return (
        CertificateSpec(
            name="registry",
            host=fleet.control.host,
            authority="mesh",
            common_name=name,
            dns_names=(name,),
            ip_addresses=(fleet.hosts[fleet.control.host].address,),
            usage="server",
        ),
    )

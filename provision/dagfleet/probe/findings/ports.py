"""Are the ports free, or held by ourselves?"""

from collections.abc import Iterable
from dataclasses import dataclass

from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.derive.ports import slot_ports
from dagfleet.fleet.rules import REGISTRY_PORT
from dagfleet.probe.findings.finding import Finding, Subject
from dagfleet.probe.report import HostReport, Listener, Privilege

DATABASE_PORT = 6432
WEB_SERVER_PORT = 3000
OWN_SERVICES = ("haproxy", "pgbouncer", "dockerd")


@dataclass(frozen=True)
class Need:
    """A port that will be bound on a host. `key` in fleet.yml moves it; without one only freeing it helps."""

    port: int
    purpose: str
    key: str | None = None
    loopback: bool = False


def needs(subject: Subject) -> Iterable[Need]:
    """Return the ports that will be bound on the host."""
    fleet, name = subject.fleet, subject.name
    host = fleet.hosts[name]
    yield Need(host.mesh.port, "the mesh", f"hosts.{name}.mesh.port")
    if host.runs_docker and not over_ssh(fleet):
        yield Need(host.docker_port, "the Docker endpoint", f"hosts.{name}.docker_port")
    # A standby's have to be free, too: nobody has the time to look on the day that it takes over.
    if name in fleet.control_hosts:
        yield Need(fleet.control.web.port, "the web UI", "control.web.port")
        if fleet.control.web.acme_port:
            yield Need(80, "ACME's challenges", "control.web.acme_port")
        if fleet.registry:
            yield Need(fleet.registry.port, "the registry", "registry.port")
            yield Need(REGISTRY_PORT, "the registry behind it", loopback=True)
        yield Need(WEB_SERVER_PORT, "the web server behind it", loopback=True)
    yield Need(DATABASE_PORT, "the database", loopback=True)
    for location in fleet.locations_on(name):
        for port in slot_ports(fleet, location):
            yield Need(port, f"location {location}", loopback=True)


def ports(subject: Subject) -> Iterable[Finding]:
    """A taken port stops a service, or worse: a second code server shares it in silence (SO_REUSEPORT)."""
    if subject.report.privilege in {Privilege.PASSWORD, Privilege.NONE}:
        return  # Only root sees who listens; our own services would look foreign.
    for need in needs(subject):
        for listener in subject.report.listeners:
            if (
                listener.port == need.port
                and _collides(need, listener)
                and not ours(listener, subject.report)
            ):
                holder = f"{listener.process or 'another program'}" + (
                    f" (pid {listener.pid})" if listener.pid else ""
                )
                move = f", or set {need.key} in fleet.yml" if need.key else ""
                yield subject.fix(
                    f"port {need.port} is taken by {holder}, {need.purpose} needs it", f"stop {holder}{move}"
                )
                break


def closed(subject: Subject) -> Iterable[Finding]:
    """What somebody else serves here and the firewall closes; what Docker publishes goes around it."""
    fleet, host = subject.fleet, subject.fleet.hosts[subject.name]
    if fleet.firewall.others == "accept" or subject.report.privilege in {Privilege.PASSWORD, Privilege.NONE}:
        return
    known = {
        host.ssh.port,
        *(need.port for need in needs(subject)),
        *(each.port for each in fleet.firewall.open),
    }
    told = set()
    for listener in subject.report.listeners:
        foreign = listener.public and listener.port not in known and not ours(listener, subject.report)
        if foreign and listener.process != "docker-proxy" and listener.port not in told:
            told.add(listener.port)
            yield subject.warn(
                f"port {listener.port} of {listener.process or 'another program'} is shut to other machines",
                f"add {{port: {listener.port}, sources: [...]}} to firewall.open if it should not be",
            )


def ours(listener: Listener, report: HostReport) -> bool:
    """Tell whether an earlier apply started the listener."""
    if listener.unit and listener.unit.startswith("dagfleet"):
        return True
    if report.engine:
        for container, published in report.engine.containers.items():
            if listener.port in published:
                return container.startswith("dagfleet-")
    return listener.process in OWN_SERVICES and managed(report)


def managed(report: HostReport) -> bool:
    """Tell whether an apply has been here before, finished or not."""
    return bool(report.record or report.certificates)


def _collides(need: Need, listener: Listener) -> bool:
    wildcard = listener.address in {"0.0.0.0", "*", "::"}  # noqa: S104 -- compared with, not bound
    return wildcard or not need.loopback or not listener.public

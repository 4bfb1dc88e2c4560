"""Is this a system that Dagfleet knows?"""

from collections.abc import Iterable

from dagfleet.fleet.versions import HOST_PYTHONS
from dagfleet.probe.bootstrap import missing
from dagfleet.probe.findings.finding import Finding, Subject
from dagfleet.probe.report import Privilege

# Debian 11 is out of support since August 2026, and its HAProxy (2.2) cannot read what the mesh needs.
SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ARCHITECTURES = ("x86_64", "aarch64")
# What python3 will be on a host that has none yet.
PYTHON = {
    ("debian", "12"): "3.11",
    ("debian", "13"): "3.13",
    ("ubuntu", "22.04"): "3.10",
    ("ubuntu", "24.04"): "3.12",
}


def sudo_mend(user: str) -> str:
    """Return how to let a login user become root."""
    rule = f"{user} ALL=(ALL) NOPASSWD: ALL"
    return f'allow it there: echo "{rule}" | sudo tee /etc/sudoers.d/dagfleet, or log in as root'


def root(subject: Subject) -> Iterable[Finding]:
    """Nothing can be done on a host where the login user does not become root by itself."""
    user = subject.fleet.hosts[subject.name].ssh.user
    allow = sudo_mend(user)
    match subject.report.privilege:
        case Privilege.PASSWORD:
            yield subject.fix(f"sudo asks {user} for a password", allow)
        case Privilege.NONE:
            yield subject.fix(f"{user} is not root and there is no sudo", allow)


def distribution(subject: Subject) -> Iterable[Finding]:
    """Only distributions that the roles are tested on."""
    report = subject.report
    if report.version not in SUPPORTED.get(report.distribution, ()):
        yield subject.fix(
            f"{report.pretty_name} is not supported",
            "use Debian 12 or 13, Ubuntu 22.04 or 24.04",
        )


def python(subject: Subject) -> Iterable[Finding]:
    """Wheels of locations that run as processes are collected for one Python, and fit no other."""
    report, wanted = subject.report, subject.fleet.hosts[subject.name].process_python
    has = report.python or PYTHON.get((report.distribution, report.version), wanted)
    names = ", ".join(subject.fleet.locations_on(subject.name))
    if subject.runs_docker or not names or has == wanted:
        return
    if has in HOST_PYTHONS:
        yield subject.fix(
            f"python3 is {has}, the wheels of {names} are for {wanted}",
            f'set hosts.{subject.name}.python: "{has}" in fleet.yml',
        )
    else:
        yield subject.fix(
            f"python3 is {has}, as a process {names} needs one of {', '.join(HOST_PYTHONS)}",
            f"use Debian 12 or 13 or Ubuntu 24.04, or let {subject.name} run Docker: images bring their own",
        )


def architecture(subject: Subject) -> Iterable[Finding]:
    """Images and packages exist for two architectures."""
    if subject.report.architecture not in ARCHITECTURES:
        yield subject.fix(
            f"architecture {subject.report.architecture} is not supported",
            f"use {' or '.join(ARCHITECTURES)}",
        )


def init(subject: Subject) -> Iterable[Finding]:
    """Services are systemd units."""
    if subject.report.init != "systemd":
        yield subject.fix(
            f"process 1 is {subject.report.init or 'unknown'}, not systemd",
            "use a machine or a container that boots systemd",
        )


def ansible(subject: Subject) -> Iterable[Finding]:
    """What Ansible needs there is installed by the next apply."""
    if packages := missing(subject.report):
        if "apt-get" in subject.report.commands:
            yield subject.note(f"{' and '.join(packages)} will be installed for Ansible")
        else:
            yield subject.fix(f"{' and '.join(packages)} is missing", "install it; Ansible needs it")

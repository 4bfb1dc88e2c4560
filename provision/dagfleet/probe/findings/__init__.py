"""What there is to say about hosts before and after an apply: pure rules over reports and fleet.yml."""

from typing import TYPE_CHECKING

from dagfleet.probe.findings import certificates, docker, identity, ports, resources, system
from dagfleet.probe.findings.finding import Finding, FleetRule, Level, Rule, Subject
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet.model import Fleet

RULES: tuple[Rule, ...] = (
    system.root, system.distribution, system.python, system.architecture, system.init, system.ansible,
    identity.address,
    resources.memory, resources.disk,
    ports.ports, ports.closed,
    docker.engine, docker.settings,
    certificates.expiry(), certificates.watched(),
)  # fmt: skip
FLEET_RULES: tuple[FleetRule, ...] = (identity.clocks, identity.copies)


def examine(fleet: "Fleet", reports: dict[str, HostReport]) -> dict[str, list[Finding]]:
    """Return the findings of every host that answered, the gravest first."""
    found: dict[str, list[Finding]] = {name: [] for name in reports}
    for name, report in reports.items():
        subject = Subject(fleet, name, report)
        for rule in RULES:
            found[name].extend(rule(subject))
    for fleet_rule in FLEET_RULES:
        for finding in fleet_rule(fleet, reports):
            found[finding.host].append(finding)
    return {name: sorted(findings, key=lambda finding: -finding.level) for name, findings in found.items()}


__all__ = ["Finding", "Level", "examine"]

"""Do the host's certificates last?"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from dagfleet.derive.certificates import certificates
from dagfleet.probe.findings.finding import Finding, Rule, Subject
from dagfleet.probe.report import HostReport


def expiry(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Rule:
    """Return the rule; `now` is the clock."""

    def rule(subject: Subject) -> Iterable[Finding]:
        """The next apply renews what is due; only what has run out already breaks something."""
        from dagfleet.pki import inspect

        wanted = {spec.name for spec in certificates(subject.fleet) if spec.host == subject.name}
        for name, certificate in leaves(subject.report).items():
            if name not in wanted:
                continue
            left = inspect(certificate.encode()).not_after - now()
            if left.total_seconds() <= 0:
                yield subject.warn(f"its certificate {name} ran out {-left.days} days ago", "dagfleet apply")

    return rule


def leaves(report: HostReport) -> dict[str, str]:
    """Return the host's leaf certificates in PEM, by name; one without its key is none."""
    return {
        certificate.file.removesuffix(".pem"): certificate.pem
        for certificate in report.certificates
        if certificate.file.endswith(".pem") and certificate.has_key
    }

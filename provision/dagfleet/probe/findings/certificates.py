"""Do the host's certificates last?"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from dagfleet.derive.certificates import certificates
from dagfleet.probe.findings.finding import Finding, Level, Rule, Subject
from dagfleet.probe.report import HostReport
from dagfleet.probe.units import count

# The timer works once a day and spreads itself over an hour.
SILENT = timedelta(days=2)


def expiry(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Rule:
    """Return the rule; `now` is the clock."""

    def rule(subject: Subject) -> Iterable[Finding]:
        """A certificate this near its end says that nobody has applied for a month: nothing renewed it."""
        from dagfleet.pki import inspect
        from dagfleet.pki.validity import Residue, residue

        levels = {Residue.SHORT: Level.WARN, Residue.ENDING: Level.FIX}
        wanted = {spec.name for spec in certificates(subject.fleet) if spec.host == subject.name}
        for name, certificate in leaves(subject.report).items():
            facts = inspect(certificate.encode())
            level = levels.get(residue(facts, now()))
            if name in wanted and level:
                fact = f"its certificate {name} {_remaining(facts.not_after - now())}"
                yield Finding(subject.name, level, fact, "dagfleet certs renew", by_apply=True)

    return rule


def watched(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Rule:
    """Return the rule that hosts look at their certificates themselves; `now` is the clock."""

    def rule(subject: Subject) -> Iterable[Finding]:
        """The journal of a host is where its owner's monitoring looks."""
        checked = subject.report.certificates_checked
        if checked is None:
            return
        silent = now() - datetime.fromtimestamp(checked, UTC)
        if silent > SILENT:
            yield subject.warn(
                f"its timer has not looked at its certificates for {count(silent.days, 'day')}",
                "see why: systemctl status dagfleet-certificates.timer dagfleet-certificates.service",
            )

    return rule


def leaves(report: HostReport) -> dict[str, str]:
    """Return the host's leaf certificates in PEM, by name; one without its key is none."""
    return {
        certificate.file.removesuffix(".pem"): certificate.pem
        for certificate in report.certificates
        if certificate.file.endswith(".pem") and certificate.has_key
    }


def _remaining(left: timedelta) -> str:
    if left.total_seconds() <= 0:
        return f"ran out {count(-left.days, 'day')} ago"
    return f"has {count(left.days, 'day')} left"

"""Phase: look at every host before the first one is touched."""

import time

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.work import Work
from dagfleet.probe.bootstrap import bootstrap, missing
from dagfleet.probe.findings import Finding, Level, examine
from dagfleet.probe.lock import no_sudo
from dagfleet.probe.report import Privilege
from dagfleet.probe.survey import Survey, on_each, survey
from dagfleet.probe.target import Target, target
from dagfleet.probe.units import count


class Check:
    """Refuses to start where it would fail half-way."""

    title = "check"

    def run(self, work: Work) -> None:
        """Survey the hosts, refuse what is to be mended first, install what Ansible needs."""
        started = time.monotonic()
        targets = [target(work.fleet_file, host) for host in work.hosts]
        found = reached(work, self.title, targets)
        findings = examine(work.fleet, found.reports)
        refuse_unfit(findings)
        warnings = [
            finding
            for part in findings.values()
            for finding in part
            if finding.level is Level.WARN and not finding.by_apply
        ]
        for warning in warnings:
            work.progress.line(
                self.title, f"{warning.host}  {warning.fact}\n{'':{len(warning.host)}}  {warning.mend}"
            )
        hosts = count(len(targets), "host")
        text = f"{hosts} ok" + (f", {count(len(warnings), 'warning')}" if warnings else "")
        work.progress.line(self.title, text, time.monotonic() - started)
        if warnings and not work.agreed(f"Go on in spite of {count(len(warnings), 'warning')}?"):
            raise DagfleetError("Not applied")
        work.reports = found.reports
        self._bootstrap(work, targets)

    def _bootstrap(self, work: Work, targets: list[Target]) -> None:
        lacking = {name: missing(report) for name, report in work.reports.items() if missing(report)}
        if not lacking:
            return
        started = time.monotonic()
        work.touched = True
        packages = sorted({package for part in lacking.values() for package in part})
        with work.progress.working(self.title, f"installing {' and '.join(packages)}"):
            answers = on_each(
                [each for each in targets if each.name in lacking],
                lambda connection: bootstrap(connection, lacking[connection.target.name]),
            )
        for answer in answers.values():
            if isinstance(answer, UnreachableError):
                raise answer
        work.progress.line(
            self.title,
            f"{' and '.join(packages)} installed on {', '.join(lacking)}, for Ansible",
            time.monotonic() - started,
        )


def reached(work: Work, title: str, targets: list[Target]) -> Survey:
    """Ask the hosts for their reports; raise UnreachableError when one cannot be used."""
    with work.progress.working(title, f"asking {count(len(targets), 'host')}"):
        found = survey(targets)
    refuse_unreachable(found, targets)
    return found


def refuse_unreachable(found: Survey, targets: list[Target]) -> None:
    """Raise UnreachableError when a host does not answer, refuses us, or does not let us become root."""
    errors = list(found.unreachable.values())
    for each in targets:
        report = found.reports.get(each.name)
        if report and report.privilege in {Privilege.PASSWORD, Privilege.NONE}:
            errors.append(no_sudo(each))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UnreachableError(
            f"{count(len(errors), 'host')} of {len(targets)} cannot be used:\n"
            + "\n".join(f"  {error.message}" for error in errors),
            fix=errors[0].fix,
        )


def refuse_unfit(findings: dict[str, list[Finding]]) -> None:
    """Raise DagfleetError that names everything to be mended first."""
    fixes = [
        finding
        for part in findings.values()
        for finding in part
        if finding.level is Level.FIX and not finding.by_apply
    ]
    if len(fixes) == 1:
        raise DagfleetError(f"{fixes[0].host}: {fixes[0].fact}", fix=fixes[0].mend)
    if fixes:
        raise DagfleetError(
            f"{len(fixes)} things are to be mended first:\n"
            + "\n".join(f"  {fix.host}: {fix.fact}\n      {fix.mend}" for fix in fixes),
            fix="see all of it with: dagfleet check",
        )

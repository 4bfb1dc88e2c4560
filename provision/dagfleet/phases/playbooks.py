"""Phases that are one playbook each."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from dagfleet.image.revision import revision
from dagfleet.phases.playing import play
from dagfleet.phases.releases import new_release
from dagfleet.phases.settled import seals, settled
from dagfleet.phases.work import Work
from dagfleet.probe.history import Release, releases
from dagfleet.probe.target import target


class Hosts:
    """Packages, Docker, the mesh: what every host needs before a service can run on it."""

    title = "hosts"

    def run(self, work: Work) -> None:
        """Run playbooks/hosts.yml on the hosts that are not as they should be already."""
        work.seals = seals(work.fleet_file, work.going, work.secrets)
        if not work.full:
            work.settled = set(settled({host: work.reports[host] for host in work.going}, work.seals))
        self._pass_over(work)
        if work.unsettled:
            work.touched = True
            play(work, self.title, "hosts", hosts=work.unsettled)

    def _pass_over(self, work: Work) -> None:
        width = max(map(len, work.going), default=0)
        label = self.title
        for host in work.going:
            if host in work.settled:
                text = f"{host:<{width}}  {'as the last apply left it':<44} {'0 changed':>12}"
                work.progress.line(label, text)
                label = ""


class Services:
    """PostgreSQL, code servers, processes, the control plane; `variables` come before all others."""

    title = "services"

    def __init__(self, variables: Mapping[str, object] = MappingProxyType({})) -> None:
        self._variables = variables

    def run(self, work: Work) -> None:
        """Run playbooks/services.yml."""
        play(work, self.title, "services", hosts=work.unsettled, variables=self._variables)


class Record:
    """Each host's own note of what was applied; `plan` and `status` read it."""

    title = "record"

    def run(self, work: Work) -> None:
        """Run playbooks/record.yml; a release is recorded when something has changed."""
        control = work.fleet.control.host
        hosts = list(work.unsettled)
        variables: dict[str, object] = {"dagfleet_seals": work.seals}
        release = None
        # What an apply that was stopped before it came here has changed is nobody else's to tell.
        untold = [host for host in hosts if host in work.reports and work.reports[host].record is None]
        if (work.changes or untold) and control not in work.stopped:
            release = self._release(work)
            variables["dagfleet_release"] = release.as_line()
            if control not in hosts:
                hosts.append(control)
                variables["dagfleet_passed_over"] = [control]
        play(work, self.title, "record", hosts=hosts, variables=variables, quiet=True)
        if release and control not in work.stopped:
            work.release = release.number

    def _release(self, work: Work) -> Release:
        before = releases(target(work.fleet_file, work.fleet.control.host))
        return replace(
            new_release(work, before),
            hosts=dict(work.changes),
            stopped=tuple(work.stopped),
            revision=revision(work.fleet_file.directory),
        )

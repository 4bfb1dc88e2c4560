"""Phases that are one playbook each."""

from dagfleet.phases.playing import play
from dagfleet.phases.settled import seals, settled
from dagfleet.phases.work import Work


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
    """PostgreSQL, code servers, processes, the control plane."""

    title = "services"

    def run(self, work: Work) -> None:
        """Run playbooks/services.yml."""
        play(work, self.title, "services", hosts=work.unsettled)


class Record:
    """Each host's own note of what was applied; `plan` and `status` read it."""

    title = "record"

    def run(self, work: Work) -> None:
        """Run playbooks/record.yml."""
        play(
            work,
            self.title,
            "record",
            hosts=work.unsettled,
            variables={"dagfleet_seals": work.seals},
            quiet=True,
        )

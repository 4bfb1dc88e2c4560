"""Phases that are one playbook each."""

from dagfleet.phases.playing import play
from dagfleet.phases.work import Work


class Hosts:
    """Packages, Docker, the mesh: what every host needs before a service can run on it."""

    title = "hosts"

    def run(self, work: Work) -> None:
        """Run playbooks/hosts.yml on the hosts that are still going."""
        work.touched = True
        play(work, self.title, "hosts", hosts=work.going)


class Services:
    """PostgreSQL, code servers, processes, the control plane."""

    title = "services"

    def run(self, work: Work) -> None:
        """Run playbooks/services.yml."""
        play(work, self.title, "services", hosts=work.going)


class Record:
    """Each host's own note of what was applied; `plan` and `status` read it."""

    title = "record"

    def run(self, work: Work) -> None:
        """Run playbooks/record.yml."""
        play(work, self.title, "record", hosts=work.going, quiet=True)

"""Asking a location's new servers through the mesh, before any connection goes to them."""

import shlex
from collections.abc import Sequence

from dagfleet.errors import DagfleetError
from dagfleet.phases.code_servers import asked
from dagfleet.phases.work import Work

SECONDS = 60


def introduced(work: Work, hosts: Sequence[str], location: str) -> None:
    """Ask the servers that wait on these hosts for health and repositories, as the control host's gateway.

    Raises DagfleetError that names the first which cannot serve.
    """
    control = work.fleet.control.host
    at = {name: work.fleet.hosts[name] for name in hosts}
    words = [location, *(f"{name}={host.address}:{host.mesh.port}" for name, host in at.items())]
    answers = asked(work, [control], f"introduce {shlex.join(words)}", SECONDS)[control]
    for host, answer in answers.items():
        if isinstance(answer, str):
            raise DagfleetError(
                f"{host}: {answer} (asked from {control})",
                fix="dagfleet doctor; a mesh from an older Dagfleet is brought up to date by dagfleet apply",
            )

"""Asking a location's new servers through the mesh, before any connection goes to them."""

import json
import shlex
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.work import Work
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

PKI = "/etc/dagfleet/pki"
SECONDS = 60


def introduced(work: Work, hosts: Sequence[str], location: str) -> None:
    """Ask the servers that wait on these hosts for health and repositories, as the control host's gateway.

    Raises DagfleetError that names the first which cannot serve.
    """
    source = resources.files("dagfleet.probe").joinpath("waiting.py").read_text(encoding="utf-8")
    at = {host: work.fleet.hosts[host] for host in hosts}
    words = shlex.join(
        ["-", PKI, location, *(f"{name}={host.address}:{host.mesh.port}" for name, host in at.items())]
    )

    def ask(connection: "Connection") -> dict[str, list[str] | str]:
        said = connection.run(f"exec python3 -I {words}", stdin=source, timeout=SECONDS)
        if not said.ok:
            raise DagfleetError(
                f"{connection.target.name} could not ask the new code servers: "
                f"{(said.stderr.strip() or 'it did not say why').splitlines()[-1]}",
                fix="dagfleet doctor",
            )
        found: dict[str, list[str] | str] = json.loads(said.stdout)
        return found

    control = target(work.fleet_file, work.fleet.control.host)
    answers = on_each([control], ask)[control.name]
    if isinstance(answers, UnreachableError):
        raise answers
    for host, answer in answers.items():
        if isinstance(answer, str):
            raise DagfleetError(
                f"{host}: {answer} (asked through the mesh, from {control.name})",
                fix="if its mesh is from an older Dagfleet, dagfleet apply first; else dagfleet doctor",
            )

"""Asking the script that exchanges code servers, on hosts."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.work import Work
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

PROGRAM = "/usr/local/lib/dagfleet/code-server"


def asked(work: Work, hosts: Sequence[str], command: str, seconds: int) -> dict[str, dict[str, Any]]:
    """Run `code-server` on hosts at once and return what each printed; raises DagfleetError."""

    def ask(connection: "Connection") -> dict[str, Any]:
        answer = connection.run(f"{PROGRAM} {command}", timeout=seconds)
        if not answer.ok:
            raise refused(connection.target.name, answer.stderr or answer.stdout)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    answers = on_each([target(work.fleet_file, host) for host in hosts], ask)
    for answer in answers.values():
        if isinstance(answer, UnreachableError):
            raise answer
    return {host: answer for host, answer in answers.items() if isinstance(answer, dict)}


def refused(host: str, said: str) -> DagfleetError:
    """Return what a host's own words mean to the operator."""
    # The script is not there, or it does not know the command.
    if "code-server: not found" in said or "code-server: command not found" in said or "KeyError: '" in said:
        return DagfleetError(
            f"{host} is from an older Dagfleet", fix="bring it up to date first: dagfleet apply"
        )
    return DagfleetError(
        f"{host}: {said.strip() or 'its script failed without a word'}",
        fix="mend that and deploy again",
    )

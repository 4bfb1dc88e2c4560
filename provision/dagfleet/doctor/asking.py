"""One round trip to each host, all hosts at once: the questions go in, the answers come back."""

import json
import shlex
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from dagfleet.doctor.examination import Answer
from dagfleet.doctor.flows import Flow
from dagfleet.errors import UnreachableError
from dagfleet.probe.connection import Connection
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

# A dark peer costs each question its own time-out.
SECONDS = 120


def ask(
    fleet_file: "FleetFile", flows: Sequence[Flow]
) -> tuple[dict[tuple[str, str], Answer], dict[str, UnreachableError]]:
    """Return the answers by hop, and the hosts that did not answer over SSH."""
    asked: dict[str, list[str]] = {}
    for flow in flows:
        for hop in flow.hops:
            host, question = hop.key
            if question not in asked.setdefault(host, []):
                asked[host].append(question)
    source = resources.files("dagfleet.doctor").joinpath("ask.py").read_text()

    def put(connection: Connection) -> list[Answer]:
        questions = asked[connection.target.name]
        said = connection.run(
            f"exec python3 -I -c {shlex.quote(source)}", stdin=f"[{','.join(questions)}]", timeout=SECONDS
        )
        return _answers(said.stdout, said.stderr, len(questions))

    answers: dict[tuple[str, str], Answer] = {}
    silent: dict[str, UnreachableError] = {}
    for host, came in on_each([target(fleet_file, host) for host in asked], put).items():
        if isinstance(came, UnreachableError):
            silent[host] = came
        else:
            answers.update(
                {(host, question): answer for question, answer in zip(asked[host], came, strict=True)}
            )
    return answers, silent


def _answers(output: str, errors: str, count: int) -> list[Answer]:
    try:
        return [
            Answer(bool(each["ok"]), str(each["fact"]), tuple(each.get("lines", ())))
            for each in json.loads(output)
        ]
    except ValueError:
        # A host without Python, or one where it breaks: that is the fact for each of the hops asked there.
        words = (errors.strip() or output.strip() or "no answer").splitlines()[-1]
        return [Answer(False, words)] * count

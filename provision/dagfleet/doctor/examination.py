"""What the hops answered, flow by flow; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagfleet.doctor.flows import Flow, Hop


@dataclass(frozen=True)
class Answer:
    """What one hop said; `lines` are the last words of what should run there."""

    ok: bool
    fact: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examined:
    """A flow with its answers; a hop whose host could not be asked has none."""

    flow: Flow
    answers: tuple[Answer | None, ...]

    @property
    def culprit(self) -> Hop | None:
        """Return the first hop that is broken."""
        return next((hop for hop, answer in self.pairs if answer and not answer.ok), None)

    @property
    def pairs(self) -> list[tuple[Hop, Answer | None]]:
        """Return each hop with its answer."""
        return list(zip(self.flow.hops, self.answers, strict=True))

    @property
    def well(self) -> bool:
        """Tell whether every hop was asked and is all right."""
        return all(answer and answer.ok for answer in self.answers)


def examined(flows: Sequence[Flow], answers: Mapping[tuple[str, str], Answer]) -> list[Examined]:
    """Return the flows with their answers, which are kept by the hop's key."""
    return [Examined(flow, tuple(answers.get(hop.key) for hop in flow.hops)) for flow in flows]

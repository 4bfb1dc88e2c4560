"""Timing two ways of doing one thing, in turns: what else the machine does troubles both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Medians in seconds for one operation, without the mesh and with it."""

    name: str
    plain: float
    mesh: float

    @property
    def ratio(self) -> float:
        """How many times longer it takes with the mesh."""
        return self.mesh / self.plain


def compare(name: str, plain: Callable[[], object], mesh: Callable[[], object], *, times: int) -> Comparison:
    """Return the medians of `times` calls each, made in turns after one call to warm up."""
    taken: dict[str, list[float]] = {"plain": [], "mesh": []}
    for _ in range(ROUNDS):
        for way, call in (("plain", plain), ("mesh", mesh)):
            call()
            taken[way].extend(_seconds(call) for _ in range(times // ROUNDS))
    return Comparison(
        name=name, plain=statistics.median(taken["plain"]), mesh=statistics.median(taken["mesh"])
    )


def rate(call: Callable[[], object], seconds: float) -> float:
    """Return how often a second `call` succeeds, one after the other."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        call()
        done += 1
    return done / (time.perf_counter() - began)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

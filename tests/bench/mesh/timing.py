"""Timing ways of doing one thing, in turns: what else the machine does troubles all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Medians in seconds for one operation by each way, `plain` among them."""

    name: str
    seconds: Mapping[str, float]

    def ratio(self, way: str) -> float:
        """How many times longer it takes by this way than plainly."""
        return self.seconds[way] / self.seconds["plain"]


def compare(name: str, ways: Mapping[str, Callable[[], object]], *, times: int) -> Comparison:
    """Return the medians of `times` calls by each way, made in turns after one call to warm up."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, call in ways.items():
            call()
            taken[way].extend(_seconds(call) for _ in range(times // ROUNDS))
    return Comparison(name=name, seconds={way: statistics.median(all_) for way, all_ in taken.items()})


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

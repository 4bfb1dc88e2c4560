"""The limits under which both daemons work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.bench.queue.fill import ACTIVE, LOCATIONS, USER

# A limit that is counted but never reached.
ROOM = 1_000_000


@dataclass(frozen=True)
class Scenario:
    """Limits on tags, and whether one on all runs holds too."""

    name: str
    tag_limits: tuple[dict[str, Any], ...]
    has_global_limit: bool = True

    def full(self) -> dict[str, Any]:
        """Return the coordinator's keys with which the ten active runs leave no room."""
        return self._keys(ACTIVE)

    def one_free(self) -> dict[str, Any]:
        """Return the keys with which one more run may start, and no second one."""
        return self._keys(ACTIVE + 1)

    def draining(self) -> dict[str, Any]:
        """Return the keys with which everything may start."""
        return self._keys(ROOM)

    def _keys(self, most: int) -> dict[str, Any]:
        if self.has_global_limit:
            return {"max_concurrent_runs": most, "tag_concurrency_limits": list(self.tag_limits)}
        # What the global limit would say, said of a tag that every run has.
        everybody = {"key": "user", "value": USER, "limit": most}
        return {"max_concurrent_runs": -1, "tag_concurrency_limits": [*self.tag_limits, everybody]}


def _each_location(limit_of_first_half: int) -> tuple[dict[str, Any], ...]:
    half = len(LOCATIONS) // 2
    return tuple(
        {"key": "code_location", "value": name, "limit": limit_of_first_half if at < half else ROOM}
        for at, name in enumerate(LOCATIONS)
    )


NONE = Scenario("no limits on tags", ())
EACH = Scenario("50 locations", _each_location(ROOM))
UNIQUE = Scenario(
    "per unique value",
    ({"key": "code_location", "value": {"applyLimitPerUniqueValue": True}, "limit": ROOM},),
)
HALF = Scenario("half blocked", _each_location(0))
NO_GLOBAL = Scenario("no global limit", _each_location(ROOM), has_global_limit=False)
ALL = (NONE, EACH, UNIQUE, HALF, NO_GLOBAL)

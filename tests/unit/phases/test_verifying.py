from dataclasses import dataclass, field
from typing import Any

import pytest
from dagfleet.control.plane import Daemon, LoadedLocation
from dagfleet.control.session import WebError
from dagfleet.errors import DagfleetError
from dagfleet.phases.verifying import settled


def location(name: str, error: str | None = None, *, loading: bool = False) -> LoadedLocation:
    loaded = error is None and not loading
    return LoadedLocation(name, loaded, loading, "server", ("__repository__",), error)


HEALTHY = Daemon("SCHEDULER", True, True, None)


@dataclass
class Answers:
    """A control plane whose answers come from a list, the last one for ever."""

    locations_in_turn: list[list[LoadedLocation] | Exception]
    daemons_found: list[Daemon] = field(default_factory=lambda: [HEALTHY])
    reloads: int = 0

    def locations(self) -> list[LoadedLocation]:
        first = self.locations_in_turn[0]
        if len(self.locations_in_turn) > 1:
            self.locations_in_turn.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    def daemons(self) -> list[Daemon]:
        return self.daemons_found

    def reload(self) -> None:
        self.reloads += 1


def settle(answers: Answers, *, patience: float = 5) -> Any:
    return settled(answers, ["etl"], patience=patience, sleep=lambda _seconds: None)  # type: ignore[arg-type]


def test_a_healthy_control_plane_is_believed_at_once() -> None:
    assert settle(Answers([[location("etl"), location("admin")]])).locations[0].name == "etl"


def test_a_server_that_is_still_starting_is_waited_for() -> None:
    answers = Answers([WebError("answered 503"), [location("etl", loading=True)], [location("etl")]])
    assert settle(answers).locations[0].loaded


def test_a_location_that_failed_to_load_is_tried_again_once() -> None:
    broken = [location("etl", "Could not reach user code server")]
    answers = Answers([broken, broken, [location("etl")]])
    settle(answers)
    assert answers.reloads == 1


def test_a_broken_location_is_named_with_its_own_error() -> None:
    with pytest.raises(DagfleetError) as failed:
        settle(Answers([[location("etl", "ModuleNotFoundError: No module named 'etl'")]]), patience=0)
    assert failed.value.message == (
        "location etl cannot be loaded: ModuleNotFoundError: No module named 'etl'"
    )
    assert "dagfleet-location-etl" in (failed.value.fix or "")


def test_a_location_the_web_server_does_not_know_is_named() -> None:
    with pytest.raises(DagfleetError, match="does not know location etl"):
        settle(Answers([[location("admin")]]), patience=0)


def test_a_required_daemon_without_a_heartbeat_is_named() -> None:
    answers = Answers(
        [[location("etl")]], [Daemon("SENSOR", True, False, None), Daemon("X", False, False, None)]
    )
    with pytest.raises(DagfleetError, match="daemon SENSOR is not healthy: no heartbeat yet"):
        settle(answers, patience=0)


def test_a_silent_web_server_is_the_last_word() -> None:
    with pytest.raises(WebError, match="does not answer"):
        settle(Answers([WebError("the web UI does not answer")]), patience=0)

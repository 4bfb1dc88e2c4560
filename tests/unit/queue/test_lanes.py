"""Lanes with a ledger in memory: who is launched, who goes back, who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from clt_queued_run_coordinator.queue import lanes
from clt_queued_run_coordinator.queue.lanes import Lanes
from clt_queued_run_coordinator.queue.ledger import Claim, Claimed
from clt_queued_run_coordinator.queue.runs import Kind, QueuedRun


class Ledger:
    """Lets go what it is told to, and remembers what came back."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.done: list[str] = []
        self.back: list[str] = []
        self.failing = 0

    def hand_over(self, claims: Sequence[Claim], done: Sequence[Claim]) -> Collection[str]:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("no answer")
        self.done += [claim.run_id for claim in done]
        return {claim.run_id for claim in claims} - self.refused

    def give_back(self, claims: Sequence[Claim], reason: str | None, now: float) -> Collection[str]:
        del reason, now
        self.back += [claim.run_id for claim in claims]
        return self.back


def claimed(run_id: str, location: str = "etl") -> Claimed:
    return Claimed(QueuedRun(1, run_id, "job", Kind(0, location, (), None), 0), Claim(run_id, "me", 1, ""))


@contextmanager
def running(ledger: Ledger, launch: Callable[[Claimed], bool]) -> Iterator[Lanes]:
    any_ledger: Any = ledger
    made = Lanes(width=4, ledger=any_ledger, launch=launch, freed=lambda: None)
    yield made
    assert made.wait_idle(60)


def test_launches_each_run_once_and_notes_it_as_done() -> None:
    ledger, launched = Ledger(), []
    with running(ledger, lambda run: not launched.append(run.queued.run_id)) as made:
        made.put([claimed(f"run-{number}") for number in range(200)])

    assert sorted(launched) == sorted(ledger.done) == sorted(f"run-{number}" for number in range(200))


def test_what_this_process_may_not_launch_any_more_goes_back() -> None:
    ledger, launched = Ledger(), []
    ledger.refused = {"mine-no-more"}
    with running(ledger, lambda run: not launched.append(run.queued.run_id)) as made:
        made.put([claimed("mine-no-more"), claimed("mine")])

    assert launched == ["mine"]
    assert ledger.back == ["mine-no-more"]


def test_a_run_that_went_back_to_the_queue_is_not_noted_as_done() -> None:
    ledger = Ledger()
    with running(ledger, lambda run: run.queued.run_id != "later") as made:
        made.put([claimed("later"), claimed("now")])

    assert ledger.done == ["now"]


def test_a_location_that_hangs_takes_no_more_than_its_workers_and_keeps_no_other_waiting() -> None:
    ledger, release, launched = Ledger(), threading.Event(), threading.Event()

    def launch(run: Claimed) -> bool:
        if run.queued.kind.location == "hangs":
            return release.wait(60)
        launched.set()
        return True

    with running(ledger, launch) as made:
        made.put([claimed(f"slow-{number}", "hangs") for number in range(4)])
        assert made.room("hangs") == 0
        made.put([claimed("quick", "etl")])
        assert launched.wait(60)
        release.set()


def test_what_waits_behind_a_launch_that_hangs_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, release, begun = Ledger(), threading.Event(), threading.Event()

    def launch(run: Claimed) -> bool:
        del run
        begun.set()
        return release.wait(60)

    monkeypatch.setattr(lanes, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(lanes, "SURELY_SLOW_SECONDS", 3600.0)
    with running(ledger, launch) as made:
        made.put([claimed("first"), claimed("second")])
        assert begun.wait(60)
        assert [run.queued.run_id for run in made.stuck()] == ["second"]
        assert made.holding() == {"first"}
        release.set()


def test_a_database_that_does_not_answer_leaves_the_claim_to_recovery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger, launched = Ledger(), []
    ledger.failing = 1
    monkeypatch.setattr(lanes, "RETRY_SECONDS", 0.0)
    with running(ledger, lambda run: not launched.append(run.queued.run_id)) as made:
        made.put([claimed("run")])
        assert made.wait_idle(60)
        assert made.holding() == set()

    assert launched == []


def test_asks_again_before_it_launches_when_time_went_by_since_the_hand_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after SIGSTOP and SIGCONT: another process may lead since."""
    ledger, launched = Ledger(), []
    moments = iter([0.0, *([100.0] * 1000)])
    asked: list[int] = []
    original = ledger.hand_over

    def hand_over(claims: Sequence[Claim], done: Sequence[Claim]) -> Collection[str]:
        asked.append(len(claims))
        if len(asked) == 2:
            ledger.refused = {"run"}
        return original(claims, done)

    monkeypatch.setattr(ledger, "hand_over", hand_over)
    with running(ledger, lambda run: not launched.append(run.queued.run_id)) as made:
        lane = made._lane("etl")
        monkeypatch.setattr(lanes, "_now", lambda: next(moments))
        lane._waiting.append((0.0, claimed("run")))
        with lane._condition:
            lane._hire()

    assert launched == []
    assert ledger.back == ["run"]

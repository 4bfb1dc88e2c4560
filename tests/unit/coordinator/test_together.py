from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from clt_queued_run_coordinator.storage.together import Together

PATIENCE = 60


class Slow:
    """Answers its first batch only when told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = Event(), Event()

    def __call__(self, questions: Sequence[int]) -> int:
        self.batches.append(list(questions))
        self.begun.set()
        assert self.go.wait(PATIENCE)
        if 13 in questions:
            raise ValueError("13")
        return sum(questions)


def test_questions_that_come_while_one_is_asked_are_asked_together_and_each_once() -> None:
    slow = Slow()
    ask = Together(slow)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(ask, 100)
        assert slow.begun.wait(PATIENCE)
        others = [threads.submit(ask, number) for number in range(8)]
        while len(ask._waiting) < 8:
            time.sleep(0.001)
        slow.go.set()
        assert first.result(PATIENCE) == 100
        assert {other.result(PATIENCE) for other in others} == {28}
    assert slow.batches[0] == [100]
    assert sorted(slow.batches[1]) == list(range(8))
    assert len(slow.batches) == 2


def test_everybody_in_a_batch_gets_its_error_and_the_next_batch_is_asked() -> None:
    slow = Slow()
    slow.go.set()
    ask = Together(slow)
    with pytest.raises(ValueError, match="13"):
        ask(13)
    assert ask(5) == 5


def test_under_many_threads_no_question_is_lost() -> None:
    seen: list[int] = []

    def note(questions: Sequence[int]) -> bool:
        seen.extend(questions)
        return True

    ask = Together(note)
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(2000)))
    assert sorted(seen) == list(range(2000))

"""Many threads ask the same question at once: one of them asks for all that wait, as a group commit does."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Asked(Generic[Question, Answer]):
    question: Question
    answers: tuple[Answer, ...] = ()
    error: Exception | None = None
    over: bool = False


class Together(Generic[Question, Answer]):
    """Calls `ask` for one batch of questions at a time; questions that come meanwhile are the next batch.

    Nobody waits for company: a question that comes alone is asked alone. Everybody in a batch gets the same
    answer, or the same error.
    """

    def __init__(self, ask: Callable[[Sequence[Question]], Answer]) -> None:
        self._ask = ask
        self._turn = threading.Condition()
        self._waiting: list[_Asked[Question, Answer]] = []
        self._asking = False

    def __call__(self, question: Question) -> Answer:
        """Return the answer to a batch that this question is part of."""
        mine: _Asked[Question, Answer] = _Asked(question)
        with self._turn:
            self._waiting.append(mine)
            self._turn.wait_for(lambda: mine.over or not self._asking)
            if mine.over:
                return _result(mine)
            self._asking = True
            batch, self._waiting = self._waiting, []
        answers: tuple[Answer, ...] = ()
        error: Exception | None = None
        try:
            answers = (self._ask([asked.question for asked in batch]),)
        except Exception as raised:
            error = raised
        with self._turn:
            for asked in batch:
                asked.answers, asked.error, asked.over = answers, error, True
            self._asking = False
            self._turn.notify_all()
        return _result(mine)


def _result(asked: _Asked[Question, Answer]) -> Answer:
    if asked.error is not None:
        raise asked.error
    return asked.answers[0]

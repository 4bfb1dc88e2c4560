"""How runs are judged after a fault."""

from dataclasses import replace

import pytest

from tests.chaos.accounting import Account, Found, Launched, account, allowed, usual_seconds

RUN = Launched(run_id="a", location="etl")
WELL = Found(status="SUCCESS", host="gamma", created=100.0, ended=108.0, starts=1, worked=True)
BAD = ("lost", "duplicated", "stuck", "delayed")


def judged(found: Found | None, *, touched: str = "beta") -> Account:
    return account([RUN], {"a": found} if found else {}, touched=frozenset({touched}), usual=8.0)


def wrong(found: Account) -> list[str]:
    return [what for what in BAD if found.count(what)]


def test_a_run_that_ran_and_ended_is_nothing_to_talk_about() -> None:
    assert wrong(judged(WELL)) == []
    assert judged(WELL).outcomes() == {"SUCCESS": 1}


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
def test_a_run_may_fail_but_has_to_end(status: str) -> None:
    assert wrong(judged(replace(WELL, status=status, worked=False))) == []


@pytest.mark.parametrize("status", ["QUEUED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_without_an_end_is_stuck(status: str) -> None:
    assert wrong(judged(replace(WELL, status=status, ended=None))) == ["stuck"]


def test_a_run_that_was_taken_and_is_nowhere_is_lost() -> None:
    assert wrong(judged(None)) == ["lost"]


def test_a_success_without_a_step_that_succeeded_is_a_lie() -> None:
    found = judged(replace(WELL, worked=False))
    assert wrong(found) == ["lost"]
    assert found.outcomes() == {"SUCCESS without having run": 1}


def test_two_workers_for_one_run_are_a_run_too_many() -> None:
    assert wrong(judged(replace(WELL, starts=2))) == ["duplicated"]


def test_a_run_is_delayed_only_where_the_fault_was_not() -> None:
    slow = replace(WELL, ended=WELL.created + allowed(8.0) + 1)
    assert wrong(judged(slow)) == ["delayed"]
    assert wrong(judged(slow, touched="gamma")) == []


def test_usual_is_the_median_of_what_ended() -> None:
    ends = [4.0, 8.0, 90.0, None]
    found = [replace(WELL, created=0.0, ended=end) for end in ends]
    assert usual_seconds(found) == 8.0
    assert usual_seconds([]) == 0.0


def test_outcomes_are_counted_the_commonest_first() -> None:
    runs = [Launched(run_id=name, location="etl") for name in "abc"]
    states = {"a": replace(WELL, status="FAILURE"), "b": WELL, "c": WELL}
    found = account(runs, states, touched=frozenset(), usual=8.0)
    assert list(found.outcomes().items()) == [("SUCCESS", 2), ("FAILURE", 1)]

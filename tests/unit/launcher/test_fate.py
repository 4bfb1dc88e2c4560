from __future__ import annotations

import pytest
from dagster_multihost_launcher.fate import Ages, Container, Fate, RunState, fate

NOW = 100_000.0
AGES = Ages(successful=3600, failed=36_000)


def container(state: str, **more: object) -> Container:
    values = {"host_name": "beta", "container_id": "c", "name": "n", "run_id": "r", "attempt": 1, **more}
    return Container(state=state, **values)  # type: ignore[arg-type]


def ended(seconds_ago: float, *, successful: bool = False) -> RunState:
    return RunState(ended=NOW - seconds_ago, successful=successful, host_name="beta", attempt=1)


UNFINISHED = RunState(ended=None, host_name="beta", attempt=1)


@pytest.mark.parametrize(
    ("state", "run", "expected"),
    [
        ("exited", None, Fate.KEEP),
        ("running", None, Fate.KEEP),
        ("created", UNFINISHED, Fate.KEEP),
        ("exited", UNFINISHED, Fate.KEEP),
        ("running", UNFINISHED, Fate.KEEP),
        ("created", ended(0), Fate.REMOVE),
        ("exited", ended(3599, successful=True), Fate.KEEP),
        ("exited", ended(3600, successful=True), Fate.REMOVE),
        ("exited", ended(3600), Fate.KEEP),
        ("exited", ended(36_000), Fate.REMOVE),
        ("dead", ended(36_000), Fate.REMOVE),
        ("running", ended(5), Fate.KEEP),
        ("running", ended(15), Fate.STOP),
        ("paused", ended(15), Fate.STOP),
        ("restarting", ended(15), Fate.STOP),
    ],
)
def test_a_container_is_judged_by_its_state_and_its_run(
    state: str, run: RunState | None, expected: Fate
) -> None:
    assert fate(container(state), run, ages=AGES, now=NOW)[0] is expected


@pytest.mark.parametrize("state", ["created", "running", "paused"])
def test_an_attempt_whose_place_a_later_one_has_taken_is_killed(state: str) -> None:
    later = RunState(ended=None, host_name="gamma", attempt=2)
    assert fate(container(state), later, ages=AGES, now=NOW)[0] is Fate.KILL


def test_the_output_of_a_dead_earlier_attempt_stays_while_its_run_goes_on() -> None:
    later = RunState(ended=None, host_name="gamma", attempt=2)
    assert fate(container("exited"), later, ages=AGES, now=NOW)[0] is Fate.KEEP


def test_what_a_launch_left_on_a_host_before_it_moved_on_is_removed_once_no_launch_can_mean_it() -> None:
    elsewhere = RunState(ended=None, host_name="gamma", attempt=1)
    fresh, old = (container("created", created=NOW - age) for age in (10, 400))
    assert fate(fresh, elsewhere, ages=AGES, now=NOW)[0] is Fate.KEEP
    assert fate(old, elsewhere, ages=AGES, now=NOW)[0] is Fate.REMOVE


def test_a_run_whose_tags_were_lost_keeps_its_container() -> None:
    unknown_place = RunState(ended=None)
    assert fate(container("running"), unknown_place, ages=AGES, now=NOW)[0] is Fate.KEEP

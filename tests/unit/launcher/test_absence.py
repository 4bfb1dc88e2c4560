from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster_multihost_launcher.absence import Absences

from tests.unit.launcher.runs import instance_from


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    with instance_from(tmp_path_factory.mktemp("home"), {}) as instance:
        yield instance


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    return Path(request.node.name).name


def test_the_time_between_two_looks_that_fail_is_counted(instance: DagsterInstance, host: str) -> None:
    clock = Clock()
    absences = Absences(monotonic=clock, now=lambda: 50.0)
    absences.noticed(instance, host)
    clock.seconds += 30
    absence = absences.noticed(instance, host)
    assert (absence.since, absence.counted) == (50.0, 30.0)
    assert absence.in_words == "since 1970-01-01 00:00:50 UTC, 30 s"


def test_an_answer_ends_the_count(instance: DagsterInstance, host: str) -> None:
    clock = Clock()
    absences = Absences(monotonic=clock)
    absences.noticed(instance, host)
    clock.seconds += 30
    absences.answered(instance, host)
    assert absences.answers(host) is True
    clock.seconds += 30
    assert absences.noticed(instance, host).counted == 0
    assert absences.answers(host) is False


def test_a_new_process_goes_on_counting_without_the_time_when_nobody_looked(
    instance: DagsterInstance, host: str
) -> None:
    clock = Clock()
    before = Absences(monotonic=clock, now=lambda: 50.0)
    before.noticed(instance, host)
    clock.seconds += 100
    before.noticed(instance, host)
    after = Absences(monotonic=clock, now=lambda: 9000.0)
    clock.seconds += 5000
    assert after.noticed(instance, host).counted == 100
    clock.seconds += 20
    absence = after.noticed(instance, host)
    assert (absence.since, absence.counted) == (50.0, 120.0)


def test_a_host_that_answers_a_new_process_is_not_counted_on(instance: DagsterInstance, host: str) -> None:
    Absences().noticed(instance, host)
    Absences().answered(instance, host)
    assert Absences().noticed(instance, host).counted == 0


def test_what_an_earlier_process_counted_is_kept_to_the_last_seconds(
    instance: DagsterInstance, host: str
) -> None:
    clock = Clock()
    absences = Absences(monotonic=clock)
    for _ in range(61):
        absences.noticed(instance, host)
        clock.seconds += 5
    assert Absences(monotonic=clock).noticed(instance, host).counted >= 290

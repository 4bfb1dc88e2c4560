from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest
from dagfleet.errors import DagfleetError, LockedError
from dagfleet.phases.interrupted import StoppedError
from dagfleet.phases.phase import HostsStoppedError, run
from dagfleet.phases.work import Work
from dagfleet.runner.reason import Failure

from tests.unit.phases.conftest import FakeLock


@dataclass
class Step:
    title: str
    act: Callable[[Work], None] = lambda _work: None

    def run(self, work: Work) -> None:
        self.act(work)


def events(work: Work) -> list[str]:
    return cast(FakeLock, work.lock).events


def raising(error: BaseException, *, touched: bool = True) -> Callable[[Work], None]:
    def act(work: Work) -> None:
        work.touched = touched
        raise error

    return act


def stopping(*failures: Failure) -> Callable[[Work], None]:
    def act(work: Work) -> None:
        work.stopped |= {failure.host: failure for failure in failures}

    return act


def test_the_lock_is_confirmed_before_each_phase_and_given_back_at_the_end(work: Work) -> None:
    run(work, [Step("lock"), Step("check"), Step("hosts")])
    assert events(work) == ["confirmed", "confirmed", "released"]


def test_a_lost_lock_stops_the_apply_before_the_next_phase(work: Work) -> None:
    cast(FakeLock, work.lock).lost = LockedError("lost")
    ran: list[str] = []
    with pytest.raises(LockedError):
        run(work, [Step("lock"), Step("hosts", lambda _work: ran.append("hosts"))])
    assert ran == []
    assert events(work)[-1] == "released"


def test_a_failure_before_anything_was_touched_says_so(work: Work) -> None:
    with pytest.raises(DagfleetError) as failed:
        run(work, [Step("check", raising(DagfleetError("no"), touched=False))])
    assert failed.value.__notes__ == ["Nothing was touched."]
    assert events(work) == ["released"]


def test_a_failure_half_way_says_how_to_go_on(work: Work) -> None:
    with pytest.raises(DagfleetError) as failed:
        run(work, [Step("hosts", raising(DagfleetError("no")))])
    assert "the next dagfleet apply goes on" in failed.value.__notes__[0]


def test_ctrl_c_says_what_state_things_are_in(work: Work) -> None:
    with pytest.raises(StoppedError) as stopped:
        run(work, [Step("lock"), Step("hosts", raising(KeyboardInterrupt()))])
    assert stopped.value.exit_code == 130
    assert stopped.value.message == (
        "Stopped in phase hosts: what came before is done, alpha, beta, delta may be half-way"
    )
    assert "the next dagfleet apply finishes the job" in (stopped.value.fix or "")
    assert events(work)[-1] == "released"


def test_ctrl_c_before_anything_was_touched_says_so(work: Work) -> None:
    with pytest.raises(StoppedError) as stopped:
        run(work, [Step("check", raising(KeyboardInterrupt(), touched=False))])
    assert stopped.value.fix == "Nothing was touched."


def test_hosts_that_can_go_on_do_and_the_others_are_named(work: Work) -> None:
    seen: list[list[str]] = []
    with pytest.raises(HostsStoppedError) as stopped:
        run(
            work,
            [
                Step("hosts", stopping(Failure("beta", "mesh: Install HAProxy", "no space left."))),
                Step("services", lambda each: seen.append(each.going)),
            ],
        )
    assert seen == [["alpha", "delta"]]
    assert stopped.value.exit_code == 1
    assert stopped.value.message == (
        '1 host of 3 stayed behind. beta stopped at "mesh: Install HAProxy": no space left. '
        "alpha, delta are done"
    )


def test_hosts_that_vanished_make_the_exit_code_5(work: Work) -> None:
    with pytest.raises(HostsStoppedError) as stopped:
        run(work, [Step("hosts", stopping(Failure("beta", "x", "gone", unreachable=True)))])
    assert stopped.value.exit_code == 5


def test_nothing_is_tried_when_no_host_is_left(work: Work) -> None:
    ran: list[str] = []
    gone = [Failure(host, "x", "gone") for host in work.hosts]
    with pytest.raises(HostsStoppedError, match="No host is done"):
        run(work, [Step("hosts", stopping(*gone)), Step("services", lambda _work: ran.append("services"))])
    assert ran == []

from pathlib import Path

import pytest
from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases.checking import refuse_unfit, refuse_unreachable
from dagfleet.probe.findings import Finding, Level
from dagfleet.probe.report import Privilege
from dagfleet.probe.survey import Survey
from dagfleet.probe.target import Target

from tests.unit.probe.reports import report


def target(name: str) -> Target:
    return Target(name=name, address="10.0.1.1", user="ops", port=22, key=None, known_hosts=Path("known"))


def test_one_host_out_of_reach_is_said_in_its_own_words() -> None:
    gone = UnreachableError("beta is gone", fix="switch it on")
    with pytest.raises(UnreachableError) as refused:
        refuse_unreachable(Survey({"alpha": report()}, {"beta": gone}), [target("alpha"), target("beta")])
    assert refused.value is gone


def test_several_are_listed() -> None:
    gone = {name: UnreachableError(f"{name} is gone") for name in ("beta", "gamma")}
    with pytest.raises(
        UnreachableError, match="2 hosts of 3 cannot be used:\n  beta is gone\n  gamma is gone"
    ):
        refuse_unreachable(Survey({"alpha": report()}, gone), [target(n) for n in ("alpha", "beta", "gamma")])


def test_a_user_who_cannot_become_root_is_like_a_closed_door() -> None:
    found = Survey({"beta": report(privilege=Privilege.PASSWORD)}, {})
    with pytest.raises(
        UnreachableError, match="ops cannot become root on beta without a password"
    ) as refused:
        refuse_unreachable(found, [target("beta")])
    assert refused.value.exit_code == 5


def test_what_is_to_be_mended_first_stops_an_apply() -> None:
    taken = Finding("beta", Level.FIX, "port 4443 is taken by nginx (pid 812)", "stop nginx")
    warning = Finding("alpha", Level.WARN, "3 GiB free", "free some")
    with pytest.raises(DagfleetError) as refused:
        refuse_unfit({"alpha": [warning], "beta": [taken]})
    assert refused.value.message == "beta: port 4443 is taken by nginx (pid 812)"
    assert refused.value.fix == "stop nginx"


def test_warnings_alone_stop_nothing() -> None:
    refuse_unfit({"alpha": [Finding("alpha", Level.WARN, "3 GiB free", "free some")]})

from dagfleet.fleet import FleetFile
from dagfleet.phases.due import Due, specs
from dagfleet.phases.planning import HostPlan, Plan, plan
from dagfleet.runner.outcome import Change, HostOutcome, Outcome
from dagfleet.runner.reason import Failure

from tests.unit.probe.reports import report

SET_UP = {"release": "0.1.0", "config_hash": "abc"}


def test_a_host_never_set_up_is_summed_up(fleet_file: FleetFile) -> None:
    found = plan(fleet_file.fleet, {"beta": report()}, Outcome(), authority_keys={}, images={})
    (beta,) = found.hosts
    assert beta.lines() == ["+ host: docker, mesh, etl · 3 certificates"]
    assert found.pending


def test_the_control_host_is_named_as_such(fleet_file: FleetFile) -> None:
    found = plan(fleet_file.fleet, {"alpha": report()}, Outcome(), authority_keys={}, images={})
    assert found.hosts[0].lines() == ["+ host: docker, mesh, control plane · 6 certificates"]


def settled(fleet_file: FleetFile, outcome: HostOutcome, **more: object) -> HostPlan:
    spec = next(iter(specs(fleet_file.fleet, "beta")))
    del spec
    found = plan(
        fleet_file.fleet,
        {"beta": report(record=SET_UP)},
        Outcome(hosts={"beta": outcome}),
        authority_keys={},
        images=more.get("images", {}),  # type: ignore[arg-type]
    )
    return found.hosts[0]


def test_changes_of_a_host_that_is_set_up_are_listed_with_their_diffs(fleet_file: FleetFile) -> None:
    outcome = HostOutcome(changes=[Change("mesh: Write HAProxy's configuration", ("-a\n+b\n",))])
    found = settled(fleet_file, outcome)
    assert "~ mesh: Write HAProxy's configuration" in found.lines()
    assert found.changes[0].diff == ("-a\n+b\n",)


def test_the_record_alone_is_not_hidden_but_beside_others_it_is_noise(fleet_file: FleetFile) -> None:
    record, other = Change("base: Record what was applied"), Change("docker: Merge settings")
    assert settled(fleet_file, HostOutcome(changes=[record])).changes == (record,)
    assert settled(fleet_file, HostOutcome(changes=[other, record])).changes == (other,)


def test_missing_images_are_changes(fleet_file: FleetFile) -> None:
    found = settled(fleet_file, HostOutcome(), images={"beta": ["etl:1"]})
    assert "~ image etl:1: to be sent" in found.lines()


def test_a_role_that_cannot_tell_is_pending(fleet_file: FleetFile) -> None:
    found = settled(fleet_file, HostOutcome(failure=Failure("beta", "mesh: Test it", "no such file")))
    assert "? mesh: Test it: no such file" in found.lines()
    assert found.changes_something


def test_nothing_to_do_is_said_so() -> None:
    found = Plan((HostPlan("alpha", False), HostPlan("beta", False)))
    assert not found.pending
    assert found.summary() == "Nothing would change"


def test_totals_read_like_a_sentence(fleet_file: FleetFile) -> None:
    changed = (Change("x"),)
    due = (Due(next(iter(specs(fleet_file.fleet, "beta"))), "it has 20 days left"),)
    found = Plan(
        (
            HostPlan("alpha", False, changes=changed),
            HostPlan("beta", False, certificates=due),
            HostPlan("gamma", True),
            HostPlan("delta", False),
        )
    )
    assert found.summary() == "2 hosts change, 1 is added, 1 stays as it is"
    assert (
        Plan((HostPlan("gamma", True), HostPlan("delta", False))).summary()
        == "1 host is added, 1 stays as it is"
    )

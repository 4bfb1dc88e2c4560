"""What fleet.yml may say about the control host's standby."""

import pytest
from dagfleet.errors import FleetFileError
from dagfleet.fleet import parse_fleet

from tests.unit.fleet.texts import fleet_text, fleet_with, problems_with

BACKUP = 'backup: {schedule: "*:0/30"}'


def control(keys: str) -> str:
    return f"control: {{host: alpha, {keys}, web: {{hostname: d.example.com, users: secret://web_users}}}}"


def test_a_host_that_works_may_stand_by() -> None:
    fleet = fleet_with(control=control("standby: beta"), backup=BACKUP)
    assert fleet.control_hosts == ("alpha", "beta")
    assert not fleet.streams
    assert fleet_with().control_hosts == ("alpha",)


def test_one_that_follows_postgresql_needs_no_schedule_of_backups() -> None:
    assert fleet_with(control=control("standby: beta, replication: streaming")).streams


@pytest.mark.parametrize(
    ("keys", "others", "key", "fact"),
    [
        ("standby: bta", {}, "control.standby", 'no host is named "bta"; did you mean "beta"?'),
        ("standby: alpha", {}, "control.standby", "is the control host itself; name another"),
        ("standby: delta", {}, "control.standby", "has docker: none, but the control plane needs Docker"),
        ("standby: beta", {"backup": "backup: {keep: 3}"}, "control.standby", "say when they are made"),
        ("standby: beta", {"docker": "docker: {access: ssh}"}, "control.standby", "use mesh or tls"),
        (
            "standby: beta",
            {"backup": None, "postgres": "postgres: {mode: external, url: secret://warehouse}"},
            "control.standby",
            "with postgres.mode external it is elsewhere",
        ),
        ("replication: streaming", {}, "control.replication", "needs control.standby: HOST"),
        ("standby: beta, replication: stream", {}, "control.replication", "streaming"),
    ],
)
def test_what_cannot_take_over_is_refused_with_what_to_write(
    keys: str, others: dict[str, str | None], key: str, fact: str
) -> None:
    assert fact in problems_with(**{"control": control(keys), "backup": BACKUP, **others})[key]


def test_the_standbys_web_port_is_its_own() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1}, beta: {address: 10.0.1.2, mesh: {port: 443}}}"
    told = problems_with(
        control=control("standby: beta"), backup=BACKUP, hosts=hosts,
        locations='locations: {etl: {hosts: [beta], image: "etl:1", module: etl.defs}}',
    )  # fmt: skip
    assert "port 443 is used by hosts.beta.mesh.port on beta" in told["control.web.port"]


def test_a_failover_must_be_able_to_write_who_the_control_host_is() -> None:
    text = fleet_text(
        terraform="terraform: ./terraform",
        control="control: {standby: beta, web: {hostname: d.example.com, users: secret://web_users}}",
        backup=BACKUP,
    )
    with pytest.raises(FleetFileError) as refused:
        parse_fleet(text, name="fleet.yml", ask=lambda _where: {"control": {"host": "alpha"}})
    (problem,) = refused.value.problems
    assert problem.key == "control.standby"
    assert "let this file say control.host" in problem.fact

"""What is written, revoked and forgotten when hosts come and leave."""

import json

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.phases.authorities import Store
from dagfleet.phases.leaving import RevokeHost, end_runs
from dagfleet.phases.removing import farewell, farewell_of, reached_by
from dagfleet.phases.work import Work
from dagfleet.phases.writing import WriteFleet
from dagfleet.probe.target import target
from dagfleet.probe.trust import forget

from tests.unit.phases.conftest import FLEET, Heard
from tests.unit.phases.test_draining import a_run


def test_the_file_is_replaced_whole_and_keeps_its_mode(work: Work, heard: Heard) -> None:
    path = work.fleet_file.path
    path.chmod(0o640)
    WriteFleet(before=FLEET, after=FLEET + "# more\n", what="host gamma added").run(work)
    assert path.read_text() == FLEET + "# more\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert heard.lines == ["file: host gamma added · fleet.yml written"]
    assert work.touched


def test_a_file_that_somebody_edits_meanwhile_is_left_alone(work: Work) -> None:
    work.fleet_file.path.write_text(FLEET + "# mine\n")
    with pytest.raises(ConfigurationError, match="was changed while this command worked"):
        WriteFleet(before=FLEET, after=FLEET + "# more\n", what="host gamma added").run(work)
    assert work.fleet_file.path.read_text() == FLEET + "# mine\n"
    assert not work.touched


def test_a_host_that_leaves_stays_reachable_without_fleet_yml(work: Work) -> None:
    path = farewell(work.fleet_file, ["beta"])
    assert path == farewell_of(work.fleet_file, "beta")
    assert farewell_of(work.fleet_file, "delta") is None
    assert path.stat().st_mode & 0o777 == 0o600
    everything = json.loads(path.read_text())["all"]
    assert [group for group, part in everything["children"].items() if "beta" in part["hosts"]] == [
        "dagfleet", "docker_hosts",
    ]  # fmt: skip
    assert "secret" not in path.read_text()
    assert reached_by(work.fleet_file, path, "beta") == target(work.fleet_file, "beta")


def test_all_certificates_that_a_dead_host_was_ever_given_are_revoked_and_no_others(work: Work) -> None:
    authorities = Store(work.fleet_file).unlocked()
    from dagfleet.derive.certificates import certificates

    for spec in (*certificates(work.fleet), *certificates(work.fleet)):
        authorities.issue(spec, 90)
    phase = RevokeHost("beta")
    phase.run(work)
    assert sorted(leaf.name for leaf in phase.revoked) == [
        "docker-server", "docker-server", "mesh-client", "mesh-client", "mesh-server", "mesh-server",
    ]  # fmt: skip
    again = Store(work.fleet_file)
    serials = {serial for part in again.revoked().values() for serial in part}
    assert serials == {leaf.serial for leaf in phase.revoked}


def test_the_host_key_of_one_that_left_is_not_trusted_any_more(work: Work) -> None:
    known = work.fleet_file.state / "known_hosts"
    known.parent.mkdir(exist_ok=True)
    known.write_text(
        "10.0.1.2 ssh-ed25519 AAAA\n10.0.1.22 ssh-ed25519 BBBB\n[10.0.1.2]:2222 ssh-ed25519 CCCC\n"
    )
    forget(target(work.fleet_file, "beta"))
    assert known.read_text() == "10.0.1.22 ssh-ed25519 BBBB\n[10.0.1.2]:2222 ssh-ed25519 CCCC\n"


def test_only_runs_recorded_on_the_dead_host_are_ended() -> None:
    class Control:
        def __init__(self) -> None:
            self.ended: list[str] = []

        def active(self) -> list[object]:
            return [
                a_run("one", "etl", host="beta"),
                a_run("two", "etl", host="gamma"),
                a_run("three", "etl"),
            ]

        def mark_canceled(self, run_id: str) -> None:
            self.ended.append(run_id)

    control = Control()
    assert end_runs(control, "beta") == ["one"]  # type: ignore[arg-type]
    assert control.ended == ["one"]

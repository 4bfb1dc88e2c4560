"""The tables of check, plan and status, from values."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.cli import checked as check_page
from dagfleet.cli import observed as status_page
from dagfleet.cli import planned as plan_page
from dagfleet.cli.checked import Checked
from dagfleet.cli.observed import ControlPlane, Observed
from dagfleet.cli.terminal import Terminal
from dagfleet.control.plane import Daemon, LoadedLocation, QueueCounts
from dagfleet.control.queueing import Pause
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.errors import UnreachableError
from dagfleet.fleet import parse_fleet
from dagfleet.fleet.model import Fleet, Registry
from dagfleet.phases.planning import HostPlan, Plan
from dagfleet.pki import Authorities
from dagfleet.probe.findings import examine
from dagfleet.probe.report import HostCertificate, HostReport
from dagfleet.probe.survey import Survey
from dagfleet.runner.outcome import Change

from tests.unit.phases.conftest import FLEET
from tests.unit.probe.reports import engine, listener, report

RECORD = {
    "release": "0.1.0",
    "config_hash": "abc",
    "applied_at": "2026-11-21T13:00:00Z",
    "applied_by": "ops@laptop",
}


@pytest.fixture
def fleet() -> Fleet:
    return parse_fleet(FLEET, name="fleet.yml")


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


def hosts(fleet: Fleet, **beta: object) -> dict[str, HostReport]:
    facts = {
        name: {"addresses": (host.address,), "hostname": name, "machine_id": name}
        for name, host in fleet.hosts.items()
    }
    return {name: report(**facts[name], **(beta if name == "beta" else {})) for name in facts}


def found(fleet: Fleet, reports: dict[str, HostReport], **unreachable: UnreachableError) -> Checked:
    for name in unreachable:
        reports.pop(name)
    return Checked(
        hosts=tuple(fleet.hosts),
        reports=reports,
        unreachable=unreachable,
        findings=examine(fleet, reports),
        seconds=1.4,
    )


def test_check_shows_a_line_per_host_and_each_finding_with_its_mend(
    fleet: Fleet, screen: io.StringIO
) -> None:
    result = found(
        fleet,
        hosts(fleet, listeners=(listener(4443, "nginx"),)),
        delta=UnreachableError("delta (10.0.1.4:22) cannot be reached: no answer", fix="see that it is up"),
    )
    check_page.print_table(fleet, "fleet.yml", result, Terminal(screen))
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith("prod · 3 hosts · 2 locations")
    assert lines[0].endswith("fleet.yml")
    assert lines[1] == "  alpha  10.0.1.1  control  ok      Debian 12 · 8 cores · 32 GiB · clock +0.00 s"
    assert (
        lines[2]
        == "  beta   10.0.1.2  docker   fix     port 4443 is taken by nginx (pid 812), the mesh needs it"
    )
    assert lines[3].strip() == "stop nginx (pid 812), or set hosts.beta.mesh.port in fleet.yml"
    assert "delta (10.0.1.4:22) cannot be reached: no answer" in lines[4]
    assert lines[-1] == "2 to fix · 1.4 s"
    assert result.exit_code == 5


def test_something_to_fix_makes_check_fail(fleet: Fleet) -> None:
    assert found(fleet, hosts(fleet, init="tini")).exit_code == 1
    assert found(fleet, hosts(fleet, memory=1)).exit_code == 0


def test_check_says_the_same_as_json(fleet: Fleet, screen: io.StringIO) -> None:
    result = found(fleet, hosts(fleet, init="tini", engine=engine()))
    check_page.print_json(fleet, result, Terminal(screen))
    said = json.loads(screen.getvalue())
    assert (said["fix"], said["warn"]) == (1, 0)
    assert said["hosts"]["beta"]["status"] == "fix"
    assert said["hosts"]["beta"]["findings"][0]["fact"] == "process 1 is tini, not systemd"
    assert said["hosts"]["beta"]["docker"] == "24.0.7"
    assert said["hosts"]["alpha"]["findings"] == []


def test_plan_shows_changes_with_their_diffs_and_the_next_command(screen: io.StringIO) -> None:
    change = Change(
        "mesh: Write HAProxy's configuration",
        ("--- before\n+++ after\n@@ -1 +1 @@\n-maxconn 10\n+maxconn 20\n",),
    )
    plan = Plan(
        (HostPlan("alpha", False, changes=(change,)), HostPlan("gamma", True, parts=("docker", "mesh")))
    )
    plan_page.print_plan(plan, Terminal(screen), diffs=True)
    said = screen.getvalue()
    assert "  alpha  ~ mesh: Write HAProxy's configuration\n" in said
    assert "+maxconn 20" in said
    assert "  gamma  + host: docker, mesh · 0 certificates\n" in said
    assert said.endswith("1 host changes, 1 is added. Nothing was touched.\nApply with: dagfleet apply\n")


def test_plan_with_nothing_to_do_says_so(screen: io.StringIO) -> None:
    plan_page.print_plan(Plan((HostPlan("alpha", False),)), Terminal(screen), diffs=True)
    assert screen.getvalue() == "Nothing would change. Nothing was touched.\n"


def test_plan_says_the_same_as_json(screen: io.StringIO) -> None:
    plan_page.print_json(Plan((HostPlan("gamma", True, parts=("mesh",)),)), Terminal(screen))
    said = json.loads(screen.getvalue())
    assert said["pending"] is True
    assert said["hosts"]["gamma"]["new"] is True


def observed(fleet: Fleet, control: ControlPlane, **beta: object) -> Observed:
    reports = {name: report(record=RECORD, **(beta if name == "beta" else {})) for name in fleet.hosts}
    return Observed(fleet, "https://dagster.example.com", Survey(reports, {}), control)


def plane(error: str | None = None) -> ControlPlane:
    return ControlPlane(
        [
            LoadedLocation("etl", error is None, False, "a1", ("__repository__",), error),
            LoadedLocation("admin", True, False, "b2", ("__repository__",), None),
        ],
        [Daemon("SCHEDULER", True, True, None)],
        QueueCounts(3, 1, 2),
    )


def test_status_shows_a_fleet_that_is_well(fleet: Fleet, screen: io.StringIO) -> None:
    seen = observed(fleet, plane())
    status_page.print_page(seen, Terminal(screen))
    said = screen.getvalue()
    assert seen.well
    assert "etl" in said
    assert "loaded · on beta" in said
    assert "3 queued · 1 starting · 2 running" in said
    assert "by ops@laptop" in said


def test_status_of_a_broken_location_has_its_own_words(fleet: Fleet, screen: io.StringIO) -> None:
    seen = observed(fleet, plane("ModuleNotFoundError: No module named 'etl'"))
    status_page.print_page(seen, Terminal(screen))
    assert not seen.well
    assert seen.exit_code == 1
    assert "ModuleNotFoundError: No module named 'etl'" in screen.getvalue()


@pytest.mark.parametrize(("days", "level"), [(90, "ok"), (20, "warn"), (5, "fix")])
def test_status_shows_the_days_that_certificates_have_left(
    fleet: Fleet, screen: io.StringIO, tmp_path: Path, days: int, level: str
) -> None:
    # Issued for 90 days at such a time in the past that these are left, and some hours.
    then = datetime.now(UTC) - timedelta(days=90 - days, hours=-6)
    authorities = Authorities.create(tmp_path / "pki", "prod", "a passphrase", 10, clock=lambda: then)
    spec = CertificateSpec(
        name="mesh-server", host="beta", authority="mesh", common_name="beta", usage="server"
    )
    pem = authorities.issue(spec, 90)[1].decode()
    shown = observed(fleet, plane(), certificates=(HostCertificate("mesh-server.pem", pem, True),))
    status_page.print_page(shown, Terminal(screen))
    [beta] = [line for line in screen.getvalue().splitlines() if line.strip().startswith("beta ")]
    assert beta.split()[2] == level
    assert f"certificates for {days} days" in beta
    status_page.print_json(shown, Terminal(told := io.StringIO()))
    assert json.loads(told.getvalue())["hosts"]["beta"]["certificate_days"] == days


def test_status_names_a_failed_unit(fleet: Fleet, screen: io.StringIO) -> None:
    seen = observed(fleet, plane(), units={"haproxy.service": "failed", "docker.service": "active"})
    status_page.print_page(seen, Terminal(screen))
    assert "haproxy.service failed; journalctl -u haproxy.service" in screen.getvalue()
    assert not seen.well


@pytest.mark.parametrize(
    ("units", "well", "said"),
    [
        ({"dagfleet-registry.service": "active"}, True, "ok      dagster.example.com:5000"),
        ({"dagfleet-registry.service": "inactive"}, False, "fix     dagfleet-registry.service is inactive"),
        ({}, False, "fix     dagfleet-registry.service is not there"),
    ],
)
def test_status_tells_whether_the_registry_runs(
    fleet: Fleet, screen: io.StringIO, units: dict[str, str], well: bool, said: str
) -> None:
    seen = observed(fleet.model_copy(update={"registry": Registry(users="secret://ci")}), plane())
    reports = {**seen.hosts.reports, "alpha": replace(seen.hosts.reports["alpha"], units=units)}
    seen = replace(seen, hosts=replace(seen.hosts, reports=reports))
    status_page.print_page(seen, Terminal(screen))
    [line] = [line for line in screen.getvalue().splitlines() if line.startswith("  registry")]
    assert said in line
    assert seen.well is well


def test_status_says_the_same_as_json(fleet: Fleet, screen: io.StringIO) -> None:
    status_page.print_json(observed(fleet, plane()), Terminal(screen))
    said = json.loads(screen.getvalue())
    assert said["well"] is True
    assert said["locations"]["etl"] == {"loaded": True, "server_id": "a1", "error": None, "hosts": ["beta"]}
    assert said["locations"]["admin"]["hosts"] == ["alpha"]
    assert said["queue"] == {"queued": 3, "starting": 1, "running": 2}
    assert said["hosts"]["beta"]["record"]["applied_by"] == "ops@laptop"


@pytest.mark.parametrize(
    ("containers", "said"),
    [
        (
            {"dagster-run-1f0c9a2e-1": (), "dagfleet-location-etl": ()},
            "draining, 1 run left (by ann@desk since",
        ),
        ({"dagfleet-location-etl": ()}, "drained (by ann@desk since"),
    ],
)
def test_status_shows_which_host_is_drained_by_whom_and_what_still_works_there(
    fleet: Fleet, screen: io.StringIO, containers: dict[str, tuple[int, ...]], said: str
) -> None:
    pause = Pause("host", "beta", 1763731331.0, "ann@desk", "host drain")
    seen = replace(observed(fleet, plane(), engine=engine(containers=containers)), drained={"beta": pause})
    status_page.print_page(seen, Terminal(screen))
    [line] = [line for line in screen.getvalue().splitlines() if line.startswith("  beta")]
    assert said in line
    assert seen.well, "a rest is no fault"
    [other] = [line for line in screen.getvalue().splitlines() if line.startswith("  alpha")]
    assert "drain" not in other


NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (None, "has no backup to take over from yet"),
        ({"newest": {"at": "2026-11-22T07:55:00+00:00"}}, "newest backup made 1 h 5 min ago"),
        (
            {"replica": {"streaming": True, "seconds_behind": 0, "last": None}, "newest": None},
            "its copy of PostgreSQL is 0.0 s behind",
        ),
        (
            {"replica": {"streaming": False, "seconds_behind": 0, "last": "2026-11-22T07:55:00+00:00"}},
            "its copy of PostgreSQL has not followed since 2026-11-22T07:55:00+00:00",
        ),
    ],
)
def test_status_tells_how_old_what_the_standby_has_is(known: dict[str, object] | None, said: str) -> None:
    assert status_page.standing_by(report(standby=known), NOW) == said

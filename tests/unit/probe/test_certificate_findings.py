"""Certificates that nobody renews are told in time: warned of below 30 days, failed below 7."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.fleet import parse_fleet
from dagfleet.phases.checking import refuse_unfit
from dagfleet.pki import Authorities
from dagfleet.probe.findings import Level
from dagfleet.probe.findings.certificates import expiry, watched
from dagfleet.probe.findings.finding import Subject
from dagfleet.probe.report import HostCertificate

from tests.unit.phases.conftest import FLEET
from tests.unit.probe.reports import report

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCRIPT = Path(__file__).parents[3] / "roles/mesh/files/certificate-days"
SPEC = CertificateSpec(
    name="mesh-server", host="beta", authority="mesh", common_name="beta", dns_names=("beta",), usage="server"
)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    store = tmp_path_factory.mktemp("store") / "pki"
    return Authorities.create(store, "prod", "a passphrase", 10, clock=lambda: NOW)


def subject(authorities: Authorities, days: int = 90, **facts: object) -> Subject:
    pem = authorities.issue(SPEC, days)[1].decode()
    held = report(certificates=(HostCertificate("mesh-server.pem", pem, True),), **facts)
    return Subject(parse_fleet(FLEET, name="fleet.yml"), "beta", held)


@pytest.mark.parametrize(
    ("days", "level"),
    [(90, None), (31, None), (29, Level.WARN), (8, Level.WARN), (6, Level.FIX), (-1, Level.FIX)],
)
def test_a_certificate_of_ninety_days_is_warned_of_below_thirty_and_failed_below_seven(
    authorities: Authorities, days: int, level: Level | None
) -> None:
    found = list(expiry(lambda: NOW + timedelta(days=90 - days))(subject(authorities)))
    assert [finding.level for finding in found] == ([level] if level else [])


def test_it_says_which_how_long_and_what_to_do(authorities: Authorities) -> None:
    for later, fact in ((84, "its certificate mesh-server has 6 days left"), (92, "ran out 2 days ago")):
        [finding] = expiry(lambda later=later: NOW + timedelta(days=later))(subject(authorities))  # type: ignore[misc]
        assert fact in finding.fact
        assert finding.mend == "dagfleet certs renew"


def test_certificates_that_live_a_week_are_not_warned_of_from_their_first_day(
    authorities: Authorities,
) -> None:
    short = subject(authorities, days=7)
    assert list(expiry(lambda: NOW)(short)) == []
    assert list(expiry(lambda: NOW + timedelta(days=4))(short)) == []
    assert [each.level for each in expiry(lambda: NOW + timedelta(days=5))(short)] == [Level.WARN]


def test_no_certificate_is_too_old_for_an_apply_to_renew_it(authorities: Authorities) -> None:
    findings = list(expiry(lambda: NOW + timedelta(days=100))(subject(authorities)))
    assert findings
    refuse_unfit({"beta": findings})


def test_a_timer_that_fell_silent_is_told(authorities: Authorities) -> None:
    moment = (NOW - timedelta(days=3)).timestamp()
    [finding] = watched(lambda: NOW)(subject(authorities, certificates_checked=moment))
    assert finding.fact == "its timer has not looked at its certificates for 3 days"
    recent = subject(authorities, certificates_checked=NOW.timestamp() - 3600)
    assert list(watched(lambda: NOW)(recent)) == []
    assert list(watched(lambda: NOW)(subject(authorities))) == []


def test_the_timers_script_logs_each_certificate_with_the_priority_of_its_days(tmp_path: Path) -> None:
    # Between two full days, so that no second decides.
    earlier = datetime.now(UTC) - timedelta(hours=6)
    fresh = Authorities.create(tmp_path / "store", "prod", "a passphrase", 10, clock=lambda: earlier)
    for name, days in (("mesh-server", 90), ("mesh-client", 20), ("web", 5)):
        (tmp_path / f"{name}.pem").write_bytes(fresh.issue(SPEC, days)[1])
    (tmp_path / "mesh-ca.crt").write_bytes(fresh.certificate("mesh"))
    status = tmp_path / "certificate-days"
    done = subprocess.run(
        [str(SCRIPT), str(tmp_path), str(status)], capture_output=True, text=True, check=True, timeout=30,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert sorted(done.stdout.splitlines()) == [
        "<3>web.pem has 4 days left",
        "<4>mesh-client.pem has 19 days left",
        "<6>mesh-ca.crt has 3652 days left",
        "<6>mesh-server.pem has 89 days left",
    ]
    first, *others = status.read_text().splitlines()
    assert first.startswith("checked ")
    assert "web.pem 4" in others

"""The list of certificates, from values."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.cli.certificates import print_json, print_table
from dagfleet.cli.inventoried import Held, Inventoried, Trusted, place
from dagfleet.cli.main import run
from dagfleet.cli.terminal import WIDTH, Terminal
from dagfleet.derive.certificates import certificates
from dagfleet.errors import UnreachableError
from dagfleet.fleet import parse_fleet
from dagfleet.pki import Authorities, inspect
from dagfleet.pki.rotation import Rotation

from tests.unit.phases.conftest import FLEET

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inventoried:
    fleet = parse_fleet(FLEET, name="fleet.yml")
    store = tmp_path_factory.mktemp("store") / "pki"
    authorities = Authorities.create(store, "prod", "a passphrase", 10, clock=lambda: NOW)
    held = [
        Held(
            spec=spec, facts=inspect(authorities.issue(spec, 90)[1]), where=place(fleet, spec), deployed=True
        )
        for spec in certificates(fleet)
    ]
    held[0] = Held(spec=held[0].spec, facts=None, where="missing", deployed=False)
    revoked = next(each for each in held if each.spec.common_name == "reader")
    held.remove(revoked)
    held.append(Held(**{**vars(revoked), "revoked": True}))
    return Inventoried(
        fleet=fleet,
        held=tuple(held),
        trusted=(
            Trusted(name="prod mesh g1", authority="mesh", until=NOW + timedelta(days=3652), signs=True),
        ),
        rotations=(Rotation(authority="mesh", old=1, new=2, since="", who="", step="new clients"),),
        unreachable={"delta": UnreachableError("delta (10.0.1.4:22) cannot be reached: no answer")},
        now=NOW + timedelta(days=1),
    )


def test_the_table_says_whose_how_long_by_whom_and_where(found: Inventoried) -> None:
    screen = io.StringIO()
    print_table(found, Terminal(screen))
    lines = screen.getvalue().splitlines()
    rows = [line.split("  ") for line in lines]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == [
        "CERTIFICATE", "HOST", "IDENTITY", "EXPIRES", "LEFT", "AUTHORITY", "FINGERPRINT", "WHERE",
    ]  # fmt: skip
    assert cells[1] == ["docker server", "alpha", "alpha", "-", "-", "-", "-", "missing"]
    [web] = [row for row in cells if row[0] == "web server"]
    assert web[1:6] == ["alpha", "dagster.example.com", "2027-02-19", "89 d", "prod mesh g1"]
    assert web[-1] == "alpha:443"
    [reader] = [row for row in cells if len(row) > 2 and row[2] == "reader"]
    assert reader[4] == "revoked"
    assert "authorities: prod mesh g1 until 2036-11-20 (keys encrypted, on this machine only)" in lines
    assert (
        "the rotation of the mesh authority is at step 3 of 4, new clients; "
        "go on with: dagfleet certs rotate-ca mesh"
    ) in lines
    assert lines[-1] == "delta (10.0.1.4:22) cannot be reached: no answer"
    assert max(map(len, lines[:12])) <= WIDTH + 10


def test_json_has_the_whole_fingerprint_and_the_same_facts(found: Inventoried) -> None:
    screen = io.StringIO()
    print_json(found, Terminal(screen))
    said = json.loads(screen.getvalue())
    gateway = next(each for each in said["certificates"] if each["identity"] == "gateway")
    assert len(gateway["fingerprint"]) == 64
    assert gateway["deployed"] is True
    assert gateway["left_seconds"] == 89 * 86400
    assert said["rotations"][0]["step"] == 3
    assert said["unreachable"] == {"delta": "delta (10.0.1.4:22) cannot be reached: no answer"}
    assert [each["name"] for each in said["authorities"]] == ["prod mesh g1"]


@pytest.mark.parametrize(
    "arguments",
    [["renew"], ["rotate-ca", "mesh"], ["revoke", "reader"], ["export", "reader", "--out", "monitoring"]],
    ids=lambda arguments: arguments[0],
)
def test_a_fleet_that_was_never_applied_gets_no_authorities_by_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "fleet.yml").write_text(FLEET)
    (tmp_path / "reporting").mkdir()
    assert run(["-f", str(tmp_path / "fleet.yml"), "certs", *arguments]) == 3
    said = capsys.readouterr().err
    assert "holds no certificate authorities" in said
    assert "run: dagfleet apply" in said.lower()
    assert not (tmp_path / ".dagfleet" / "pki").exists()

"""Renewing without an apply touches the hosts that are meant and no other; exports have keys of their own."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.phases import issuing, renewing
from dagfleet.phases.authorities import Store
from dagfleet.phases.exporting import Export
from dagfleet.phases.renewing import Renew
from dagfleet.phases.work import Work
from dagfleet.pki import inspect
from dagfleet.probe.report import HostCertificate, HostReport

from tests.unit.phases.conftest import Heard
from tests.unit.phases.test_certificates import leaf, request
from tests.unit.probe.reports import report


@pytest.fixture
def played(work: Work, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """A fleet with every certificate in place; returns the playbooks that ran since, and on which hosts."""
    calls: list[tuple[str, list[str]]] = []

    def play(work: Work, _label: str, name: str, *, hosts: Sequence[str], **_more: object) -> None:
        if hosts:
            calls.append((name, list(hosts)))
        for host in hosts if name == "certificates" else ():
            for spec in issuing.specs(work.fleet, host):
                path = leaf(work.fleet_file, host, f"{spec.name}.csr")
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    path.write_bytes(request())

    monkeypatch.setattr(issuing, "play", play)
    monkeypatch.setattr(renewing, "play", play)
    work.reports = {host: report() for host in work.hosts}
    Renew(everything=False, operators=True).run(work)
    work.reports = {host: deployed(work, host) for host in work.hosts}
    calls.clear()
    return calls


def deployed(work: Work, host: str) -> HostReport:
    folder = work.fleet_file.state / "pki" / "leaves" / host
    return report(
        certificates=tuple(
            HostCertificate(f"{path.stem}.pem", path.read_text(), True)
            for path in sorted(folder.glob("*.crt"))
        )
    )


def fingerprints(work: Work) -> dict[str, str]:
    pki = work.fleet_file.state / "pki"
    return {
        str(path.relative_to(pki)): inspect(path.read_bytes()).fingerprint
        for folder in ("leaves", "operator")
        for path in (pki / folder).rglob("*.crt")
    }


def test_where_nothing_is_due_no_host_is_touched(
    work: Work, heard: Heard, played: list[tuple[str, list[str]]]
) -> None:
    before = fingerprints(work)
    Renew(everything=False, operators=True).run(work)
    assert played == []
    assert heard.lines[-1] == "certs: nothing due"
    assert fingerprints(work) == before


def test_everything_of_one_host_leaves_the_others_and_the_operators_as_they_are(
    work: Work, played: list[tuple[str, list[str]]]
) -> None:
    before = fingerprints(work)
    work.hosts = ["beta"]
    Renew(everything=True, operators=False).run(work)
    assert played == [("take_up", ["beta"])]
    changed = {name for name, fingerprint in fingerprints(work).items() if before[name] != fingerprint}
    assert changed == {f"leaves/beta/{name}.crt" for name in ("docker-server", "mesh-server", "mesh-client")}


def test_everything_means_the_operators_too_and_no_key_changes(
    work: Work, heard: Heard, played: list[tuple[str, list[str]]]
) -> None:
    pki = work.fleet_file.state / "pki"
    before = fingerprints(work)
    keys = {path: inspect(path.read_bytes()).key_fingerprint for path in (pki / "leaves").rglob("*.crt")}
    Renew(everything=True, operators=True).run(work)
    assert played == [("take_up", ["alpha", "beta", "delta"])]
    assert all(before[name] != fingerprint for name, fingerprint in fingerprints(work).items())
    assert keys == {path: inspect(path.read_bytes()).key_fingerprint for path in keys}
    assert heard.lines[-1] == (
        "certs: 11 certificates issued for alpha, beta, delta, the operator's reader and launcher too"
    )


def test_an_exported_reader_has_a_key_of_its_own_and_can_be_revoked_by_itself(
    work: Work, heard: Heard, played: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    assert played == []
    folder = tmp_path / "monitoring"
    Export("reader", folder).run(work)
    exported = inspect((folder / "cert.pem").read_bytes())
    own = inspect((work.fleet_file.state / "pki/operator/reader.crt").read_bytes())
    assert exported.common_name == own.common_name == "reader"
    assert exported.key_fingerprint != own.key_fingerprint
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == dict.fromkeys(
        ("ca.pem", "cert.pem", "key.pem"), 0o600
    )
    assert heard.lines[-1].strip() == (
        f"Take it back with: dagfleet certs revoke {exported.fingerprint[:12]}"
    )
    issued = Store(work.fleet_file).unlocked().issued("docker")
    assert [leaf.label for leaf in issued if leaf.serial == exported.serial] == ["operator/exported-reader"]


def test_an_export_overwrites_no_key(work: Work, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("somebody's")
    with pytest.raises(ConfigurationError, match=r"key\.pem exists already"):
        Export("reader", tmp_path).run(work)
    assert (tmp_path / "key.pem").read_text() == "somebody's"

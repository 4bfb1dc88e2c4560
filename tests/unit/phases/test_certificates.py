"""The certificates phase with hosts played by this process: they make keys and requests as the role does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from dagfleet.fleet import FleetFile
from dagfleet.phases import issuing as module
from dagfleet.phases.authorities import Store
from dagfleet.phases.certificates import Certificates
from dagfleet.phases.due import due_certificates, specs
from dagfleet.phases.work import Work
from dagfleet.pki import inspect
from dagfleet.probe.report import HostCertificate, HostReport

from tests.unit.phases.conftest import Heard
from tests.unit.probe.reports import report


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The hosts that were asked for requests, call by call."""
    calls: list[list[str]] = []

    def play(
        work: Work, label: str, name: str, *, hosts: Sequence[str], quiet: bool, variables: object
    ) -> None:
        assert (name, label, quiet, variables) == ("certificates", "certs", True, {})
        calls.append(list(hosts))
        for host in hosts:
            for spec in specs(work.fleet, host):
                path = leaf(work.fleet_file, host, f"{spec.name}.csr")
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    path.write_bytes(request())

    monkeypatch.setattr(module, "play", play)
    return calls


def leaf(fleet_file: FleetFile, host: str, name: str) -> Path:
    return fleet_file.state / "pki" / "leaves" / host / name


def deployed(fleet_file: FleetFile, host: str) -> HostReport:
    """A host's report once its certificates are in place."""
    found = [
        HostCertificate(f"{path.stem}.pem", path.read_text(), True)
        for path in sorted((fleet_file.state / "pki" / "leaves" / host).glob("*.crt"))
    ]
    return report(certificates=tuple(found))


def all_deployed(work: Work) -> dict[str, HostReport]:
    return {host: deployed(work.fleet_file, host) for host in work.hosts}


def test_the_first_apply_makes_authorities_and_every_leaf(
    work: Work, heard: Heard, asked: list[list[str]]
) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    assert asked == [["alpha", "beta", "delta"]]
    assert heard.lines == ["certs: authorities created, 11 certificates issued for alpha, beta, delta"]
    web = inspect(leaf(work.fleet_file, "alpha", "web.crt").read_bytes())
    assert web.dns_names == ("dagster.example.com",)
    assert (work.fleet_file.state / "pki" / "operator" / "reader.crt").exists()
    assert (work.fleet_file.state / "pki" / "docker" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_second_apply_touches_no_host(work: Work, heard: Heard, asked: list[list[str]]) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    work.reports, work.touched = all_deployed(work), False
    Certificates().run(work)
    assert len(asked) == 1
    assert heard.lines[-1] == "certs: nothing due"
    assert not work.touched


def test_only_the_host_that_lost_a_certificate_is_asked(work: Work, asked: list[list[str]]) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    before = leaf(work.fleet_file, "beta", "mesh-client.crt").read_bytes()
    work.reports = {**all_deployed(work), "beta": report()}
    Certificates().run(work)
    assert asked[1:] == [["beta"]]
    assert leaf(work.fleet_file, "beta", "mesh-client.crt").read_bytes() != before


def test_a_host_with_a_new_key_gets_new_certificates_for_all_of_them(
    work: Work, asked: list[list[str]]
) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    reports = all_deployed(work)
    kept = tuple(each for each in reports["beta"].certificates if each.file != "mesh-client.pem")
    reports["beta"] = report(certificates=kept)
    folder = leaf(work.fleet_file, "beta", "").parent / "beta"
    for path in folder.glob("*.csr"):
        path.write_bytes(request())
    untouched = leaf(work.fleet_file, "alpha", "web.crt").read_bytes()
    before = {path.name: path.read_bytes() for path in folder.glob("*.crt")}
    work.reports = reports
    Certificates().run(work)
    assert all(path.read_bytes() != before[path.name] for path in folder.glob("*.crt"))
    assert leaf(work.fleet_file, "alpha", "web.crt").read_bytes() == untouched
    assert asked[1:] == [["beta"]]


def test_a_second_operators_machine_takes_over_the_certificates_that_hosts_have(
    work: Work, asked: list[list[str]]
) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    reports = all_deployed(work)
    path = leaf(work.fleet_file, "beta", "mesh-client.crt")
    content = path.read_bytes()
    path.unlink()
    work.reports = reports
    Certificates().run(work)
    assert path.read_bytes() == content
    assert len(asked) == 1


def due(work: Work, reports: dict[str, HostReport], **later: Any) -> dict[str, set[str]]:
    found = due_certificates(
        work.fleet,
        reports,
        authority_keys=Store(work.fleet_file).keys(),
        now=datetime.now(UTC) + timedelta(**later),
    )
    return {host: {each.spec.name for each in part} for host, part in found.items()}


def test_a_third_of_the_lifetime_before_the_end_leaves_are_due(work: Work, asked: list[list[str]]) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    reports = all_deployed(work)
    assert asked
    assert due(work, reports, days=59) == {}
    assert set(due(work, reports, days=61)) == {"alpha", "beta", "delta"}


def test_a_certificate_without_its_key_is_due(work: Work, asked: list[list[str]]) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    lost = tuple(
        HostCertificate(each.file, each.pem, False)
        for each in deployed(work.fleet_file, "delta").certificates
    )
    assert asked
    assert due(work, {"delta": report(certificates=lost)}) == {"delta": {"mesh-server", "mesh-client"}}


def test_an_apply_during_a_rotation_keeps_to_its_step_and_says_so(
    work: Work, heard: Heard, asked: list[list[str]]
) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    authorities = Store(work.fleet_file).unlocked()
    step = authorities.begin_rotation("mesh", "a long passphrase", years=10, who="ops@laptop")
    authorities.enter("mesh", step)
    following = step.following()
    assert following
    authorities.enter("mesh", following)
    work.reports = all_deployed(work)
    Certificates().run(work)
    assert len(asked) == 1, "leaves of the old generation serve until the rotation comes to them"
    assert heard.lines[-2:] == [
        "certs: the rotation of the mesh authority is at step 2 of 4, new servers; this apply keeps to it. "
        "Go on with: dagfleet certs rotate-ca mesh",
        "certs: nothing due",
    ]


def test_a_revoked_certificate_is_replaced_by_the_next_apply_with_a_new_key(
    work: Work, monkeypatch: pytest.MonkeyPatch, asked: list[list[str]]
) -> None:
    work.reports = {host: report() for host in work.hosts}
    Certificates().run(work)
    assert asked
    authorities = Store(work.fleet_file).unlocked()
    held = inspect(leaf(work.fleet_file, "beta", "mesh-client.crt").read_bytes())
    authorities.revoke("mesh", [held.serial])
    work.reports = all_deployed(work)
    told: list[object] = []

    def play(_work: Work, _label: str, _name: str, *, variables: object, **_more: object) -> None:
        told.append(variables)
        leaf(work.fleet_file, "beta", "mesh-client.csr").write_bytes(request())

    monkeypatch.setattr(module, "play", play)
    Certificates().run(work)
    assert told == [{"mesh_new_keys": {"beta": ["mesh-client"]}}]
    replaced = inspect(leaf(work.fleet_file, "beta", "mesh-client.crt").read_bytes())
    assert replaced.serial != held.serial
    assert replaced.key_fingerprint != held.key_fingerprint

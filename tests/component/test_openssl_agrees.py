"""OpenSSL, which every peer of ours uses, agrees with what the fleet's certificates are for."""

import subprocess
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.create(tmp_path_factory.mktemp("state") / "pki", "lab", "a passphrase", 10)


@pytest.fixture(scope="module")
def leaves(authorities: Authorities, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaves")
    server = CertificateSpec(
        name="docker-server", host="beta", authority="docker", common_name="beta",
        dns_names=("beta",), ip_addresses=("10.0.1.2",), usage="server",
    )  # fmt: skip
    client = CertificateSpec(
        name="reader", host=None, authority="docker", common_name="reader", usage="client"
    )
    for spec in (server, client):
        (folder / f"{spec.usage}.crt").write_bytes(authorities.issue(spec, 90)[1])
    return folder


def verify(authority: Path, leaf: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        *options,
        "-CAfile",
        str(authority),
        "-no-CApath",
        str(leaf),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("leaf", "purpose", "accepted"),
    [
        ("server", "sslserver", True),
        ("server", "sslclient", False),
        ("client", "sslclient", True),
        ("client", "sslserver", False),
    ],
)
def test_a_leaf_serves_its_one_purpose(
    authorities: Authorities, leaves: Path, leaf: str, purpose: str, accepted: bool
) -> None:
    done = verify(authorities.directory / "docker" / "ca.crt", leaves / f"{leaf}.crt", "-purpose", purpose)

    assert (done.returncode == 0) == accepted, done.stderr
    assert accepted or "unsuitable certificate purpose" in done.stderr


def test_a_leaf_of_the_other_authority_is_refused(authorities: Authorities, leaves: Path) -> None:
    done = verify(authorities.directory / "mesh" / "ca.crt", leaves / "server.crt")

    assert done.returncode != 0
    assert "unable to get local issuer certificate" in done.stderr


@pytest.mark.parametrize(
    ("option", "name", "accepted"),
    [
        ("-verify_ip", "10.0.1.2", True),
        ("-verify_ip", "10.0.1.3", False),
        ("-verify_hostname", "beta", True),
        ("-verify_hostname", "gamma", False),
    ],
)
def test_a_server_is_who_its_names_say(
    authorities: Authorities, leaves: Path, option: str, name: str, accepted: bool
) -> None:
    done = verify(authorities.directory / "docker" / "ca.crt", leaves / "server.crt", option, name)

    assert (done.returncode == 0) == accepted, done.stderr


def test_openssl_opens_the_encrypted_key_with_the_passphrase_alone(authorities: Authorities) -> None:
    def opened(passphrase: str) -> int:
        command = [
            "openssl",
            "pkey",
            "-in",
            str(authorities.directory / "mesh" / "ca.key"),
            "-noout",
            "-passin",
            "stdin",
        ]
        done = subprocess.run(
            command, input=f"{passphrase}\n", capture_output=True, text=True, check=False, timeout=30
        )
        return done.returncode

    assert opened("a passphrase") == 0
    assert opened("a guess") != 0

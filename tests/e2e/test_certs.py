"""`dagfleet certs` on a fleet: what a reader for monitoring may do, and whom a renewal touches."""

import os
import re
import subprocess
from pathlib import Path

from tests.e2e.deployed import IMAGE, DeployedFleet


def docker(fleet: DeployedFleet, folder: Path, host: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Docker's own command line, with nothing but the exported folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "DOCKER_HOST": f"tcp://{fleet.ADDRESSES[host]}:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(folder),
    }
    return subprocess.run(
        ["docker", *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_an_exported_reader_looks_at_every_host_creates_nothing_and_can_be_taken_back(
    fleet: DeployedFleet, tmp_path: Path
) -> None:
    folder = tmp_path / "monitoring"
    exported = fleet.operator.run("certs", "export", "reader", "--out", str(folder))
    assert exported.code == 0, exported.output + exported.errors
    assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    for host in ("alpha", "beta", "gamma"):
        listed = docker(fleet, folder, host, "ps", "--format", "{{.Names}}")
        assert listed.returncode == 0, listed.stderr
        assert "dagfleet-" in listed.stdout
        created = docker(fleet, folder, host, "create", IMAGE, "true")
        assert created.returncode != 0
        assert "403" in created.stderr

    take_back = exported.output.rpartition("dagfleet certs revoke ")[2].split()[0]
    revoked = fleet.operator.run("certs", "revoke", take_back)
    assert revoked.code == 0, revoked.output + revoked.errors
    refused = docker(fleet, folder, "beta", "ps")
    assert refused.returncode != 0
    assert "revoked" in refused.stderr


def test_a_host_is_renewed_and_no_other(fleet: DeployedFleet) -> None:
    def fingerprints() -> dict[tuple[str, str], str]:
        listed = fleet.operator.run("certs", "list", "--json")
        assert listed.code == 0, listed.output + listed.errors
        return {
            (str(each["host"]), each["certificate"]): each["fingerprint"]
            for each in listed.json["certificates"]
        }

    started = fleet.sh("beta", "systemctl show --property ExecMainStartTimestampMonotonic haproxy docker")
    before = fingerprints()
    renewed = fleet.operator.run("certs", "renew", "--all", "--host", "beta")
    assert renewed.code == 0, renewed.output + renewed.errors
    after = fingerprints()
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {key for key in before if key[0] == "beta"}
    assert len(changed) == 3
    shown = fleet.sh(
        "alpha",
        f"openssl s_client -connect {fleet.ADDRESSES['beta']}:4443 </dev/null 2>/dev/null "
        "| openssl x509 -noout -fingerprint -sha256",
    )
    told = after["beta", "mesh-server"].replace(":", "").lower()
    assert shown.strip().rpartition("=")[2].replace(":", "").lower() == told
    assert started == fleet.sh(
        "beta", "systemctl show --property ExecMainStartTimestampMonotonic haproxy docker"
    )


def test_a_hosts_keys_are_on_that_host_alone_and_the_authorities_on_none(fleet: DeployedFleet) -> None:
    def bodies(text: str) -> set[str]:
        return set(re.findall(r"PRIVATE KEY-----\n(.*?)-----END", text, re.DOTALL))

    everything = "cat $(find /etc/dagfleet /var/lib/dagfleet -name '*.key' -type f)"
    held = {host: bodies(fleet.sh(host, everything)) for host in fleet.ADDRESSES}
    assert all(len(keys) >= 2 for keys in held.values()), held.keys()
    ours = {
        path: path.read_text(errors="replace") for path in fleet.operator.state.rglob("*") if path.is_file()
    }
    everywhere = set.union(*held.values())
    assert [str(path) for path, text in ours.items() if any(key in text for key in everywhere)] == []
    assert sum(map(len, held.values())) == len(everywhere), "two hosts have one key"
    authorities = [text for path, text in ours.items() if path.name == "ca.key"]
    assert authorities
    # Nobody else has an encrypted key at all.
    assert all("BEGIN ENCRYPTED PRIVATE KEY" in text for text in authorities)
    found = "grep -rl 'ENCRYPTED PRIVATE KEY' /etc/dagfleet /var/lib/dagfleet 2>/dev/null || :"
    assert {host: fleet.sh(host, found) for host in fleet.ADDRESSES} == dict.fromkeys(fleet.ADDRESSES, "")

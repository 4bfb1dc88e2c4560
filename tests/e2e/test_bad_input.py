"""Mistakes and mishaps: one clear sentence, the right exit code, and no host changed."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployed import DeployedFleet, Operator

SNAPSHOT = (
    "find /etc/dagfleet /etc/haproxy /etc/docker /etc/systemd/system /etc/hosts "
    "/var/lib/dagfleet/dagster_home "
    "-xdev -type f ! -path '*/dagster_home/history/*' ! -path '*/dagster_home/logs/*' -exec sha256sum {} + "
    "2>/dev/null | sort -k2; "
    "command -v docker >/dev/null && docker ps --filter name=dagfleet- -q --no-trunc | sort; true"
)


def snapshot(fleet: DeployedFleet) -> dict[str, str]:
    return {host: fleet.sh(host, SNAPSHOT) for host in fleet.ADDRESSES}


@contextlib.contextmanager
def edited(operator: Operator, pattern: str, replacement: str) -> Iterator[None]:
    """fleet.yml with one change; the original is put back."""
    file = operator.folder / "fleet.yml"
    original = file.read_text()
    changed, count = re.subn(pattern, replacement, original, count=1, flags=re.MULTILINE)
    assert count == 1, f"{pattern!r} is not in fleet.yml"
    file.write_text(changed)
    try:
        yield
    finally:
        file.write_text(original)


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        pytest.param(r"^hosts:", "hosts: [", "line|column", id="malformed YAML"),
        pytest.param(
            r"\baddress: 10.89.8.12", "adress: 10.89.8.12", 'did you mean "address"', id="unknown key"
        ),
        pytest.param(
            r"hosts: \[beta, gamma\]", "hosts: [beta, gama]", 'did you mean "gamma"', id="unknown host"
        ),
        pytest.param(r"\baddress: 10.89.8.12", "address: 10.89.8.13", "10.89.8.13", id="duplicate address"),
        pytest.param(
            r"image: dagfleet-lab/etl:\S+", "image: dagfleet-lab/etl:latest", "pin", id="unpinned image"
        ),
    ],
)
def test_a_mistake_in_fleet_yml_is_named_and_nothing_is_touched(
    fleet: DeployedFleet, pattern: str, replacement: str, said: str
) -> None:
    before = snapshot(fleet)
    with edited(fleet.operator, pattern, replacement):
        refused = fleet.operator.run("apply", "-y")
    assert refused.code == 3, refused.output + refused.errors
    told = refused.output + refused.errors
    assert re.search(said, told), told
    assert "Nothing was touched" in told
    assert "Traceback" not in told
    assert snapshot(fleet) == before


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        pytest.param(
            r"\baddress: 10.89.8.13", "address: 10.89.8.99", "gamma.*10.89.8.99", id="unreachable host"
        ),
        pytest.param(r"key: [^,}\s]+", "key: wrong_key", "key|authenticat", id="wrong SSH key"),
    ],
)
def test_a_host_that_cannot_be_entered_ends_the_apply_before_any_change(
    fleet: DeployedFleet, pattern: str, replacement: str, said: str
) -> None:
    wrong = fleet.operator.folder / "wrong_key"
    if not wrong.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)], check=True)
    before = snapshot(fleet)
    with edited(fleet.operator, pattern, replacement):
        refused = fleet.operator.run("apply", "-y")
    told = refused.output + refused.errors
    assert refused.code == 5, told
    assert re.search(said, told, re.DOTALL | re.IGNORECASE), told
    assert "Traceback" not in told
    assert snapshot(fleet) == before


def test_a_user_without_sudo_is_told_so(fleet: DeployedFleet) -> None:
    before = snapshot(fleet)
    fleet.sh("delta", "mv /etc/sudoers.d/ops /root/ops.sudoers")
    try:
        refused = fleet.operator.run("apply", "-y")
    finally:
        fleet.sh("delta", "mv /root/ops.sudoers /etc/sudoers.d/ops")
    told = refused.output + refused.errors
    assert refused.code in {1, 5}, told
    assert "delta" in told
    assert "sudo" in told
    assert snapshot(fleet) == before


def test_a_port_taken_by_somebody_else_is_named_with_its_owner(fleet: DeployedFleet) -> None:
    before = snapshot(fleet)
    fleet.sh("gamma", "systemd-run --quiet --unit=squatter python3 -m http.server 9443")
    try:
        with edited(fleet.operator, r"gamma:(\s*)\{", r"gamma:\1{mesh: {port: 9443}, "):
            time.sleep(1)
            refused = fleet.operator.run("apply", "-y")
    finally:
        fleet.sh("gamma", "systemctl stop squatter")
    told = refused.output + refused.errors
    assert refused.code == 1, told
    assert "9443" in told
    assert "python3" in told
    assert snapshot(fleet) == before


def test_a_second_apply_at_the_same_time_is_told_who_holds_the_lock(fleet: DeployedFleet) -> None:
    first = fleet.operator.start("apply", "-y", "--full")
    try:
        deadline = time.monotonic() + 60
        while not fleet.sh("alpha", "ls /var/lib/dagfleet/lock 2>/dev/null; true").strip():
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.1)
        second = fleet.operator.run("apply", "-y", timeout=60)
    finally:
        output, errors = first.communicate(timeout=300)
    assert second.code == 4, second.output + second.errors
    assert "dagfleet apply" in second.output + second.errors
    assert first.returncode == 0, output + errors


def apply_logs(operator: Operator) -> set[Path]:
    return set((operator.state / "logs").glob("*-apply.log"))


def test_ctrl_c_in_the_middle_leaves_a_fleet_that_the_next_apply_finishes(fleet: DeployedFleet) -> None:
    with edited(fleet.operator, r"concurrent_runs: 4", "concurrent_runs: 3"):
        before = apply_logs(fleet.operator)
        process = fleet.operator.start("apply", "-y", "--full")
        deadline = time.monotonic() + 120
        while not any("/hosts.yml" in log.read_text() for log in apply_logs(fleet.operator) - before):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert "Stopped in phase hosts" in output + errors
        assert process.returncode == 130, output + errors
        assert "apply" in output + errors
        assert "Traceback" not in output + errors
        healed = fleet.operator.run("apply", "-y")
        assert healed.code == 0, healed.output + healed.errors
        assert "limit: 3" in fleet.sh("alpha", "cat /var/lib/dagfleet/dagster_home/dagster.yaml")
    restored = fleet.operator.run("apply", "-y")
    assert restored.code == 0, restored.output + restored.errors

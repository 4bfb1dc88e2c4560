"""Applies that are disturbed, on one fleet from fresh machines on; the tests build on each other."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator

import docker
import pytest

from tests.e2e.deployed import ON_DEMO, Operator, Result, machine_state
from tests.e2e.pair import Pair, Working, logs, says, start, write_pair

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to disturb")
# In their order. Each kill finds what the kills before it left, and has to come further than they did.
MOMENTS: dict[str, Callable[[Working], bool]] = {
    "check": says("lock "),
    "certs": logs(r"changed +\w+: mesh: "),
    "hosts": logs(r"(?s)playbooks/hosts.yml.*(ok|changed) +beta: docker: "),
    "images": says(r" +beta .* changed"),
    "services": logs(r"(?s)playbooks/services.yml.*changed +alpha: postgres: "),
    "record": logs(r"playbooks/record.yml"),
    "verify, a trial run": says(r"verify .* loaded"),
    "verify": says(r"images "),
}
# An operator who comes back at once must not have to know more than the message says.
LEASE = "90s"


@pytest.fixture(scope="module")
def pair(new_operator: Callable[[str, int], Operator], engine: docker.DockerClient) -> Iterator[Pair]:
    """Two fresh machines; beta's owner has settings of his own for Docker."""
    network = int(Pair.ADDRESSES["alpha"].split(".")[2])
    operator = new_operator(Pair.NAME, network)
    write_pair(operator)
    operator.run("lab", "down")
    try:
        up = operator.run("lab", "up")
        assert up.code == 0, up.output + up.errors
        fleet = Pair(operator=operator, engine=engine)
        fleet.sh("beta", "mkdir -p /etc/docker && echo '{\"shutdown-timeout\": 7}' >/etc/docker/daemon.json")
        fleet.fresh.update({host: machine_state(fleet, host) for host in fleet.ADDRESSES})
        yield fleet
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
            engine.images.remove(Pair.IMAGE)


@pytest.fixture(scope="module")
def killed() -> list[Working]:
    """The applies that were killed so far."""
    return []


def refused_until_mended(pair: Pair, fact: str, mend: str) -> None:
    """Both check and apply name the fact and its mend, and an apply touches nothing."""
    before = pair.state()
    checked = pair.operator.run("check")
    assert checked.code == 1, checked.output + checked.errors
    assert re.search(rf"beta +\S+ +docker +fix +{fact}", checked.output), checked.output
    assert mend in checked.output
    applied = pair.operator.run("apply", "-y")
    assert applied.code == 1, applied.output + applied.errors
    assert re.search(f"beta: {fact}", applied.errors), applied.errors
    assert mend in applied.errors
    assert "Nothing was touched." in applied.errors
    assert pair.state() == before


def test_check_and_plan_leave_fresh_machines_as_they_were(pair: Pair) -> None:
    before = pair.state()
    checked = pair.operator.run("check")
    assert checked.code == 0, checked.output + checked.errors
    planned = pair.operator.run("plan")
    assert planned.code == 2, planned.output + planned.errors
    assert re.search(r"alpha +\+ host: docker, mesh, control plane · \d+ certificates", planned.output)
    assert pair.state() == before


def test_a_clock_that_is_off_is_seen_with_its_mend(pair: Pair) -> None:
    """All machines here share one kernel, whose clock nobody may move: beta's `date` goes wrong instead."""
    double = "/usr/local/bin/date"
    pair.sh(
        "beta",
        f'printf \'#!/bin/sh\\nexec /usr/bin/date -d "-90 sec" "$@"\\n\' >{double} && chmod 755 {double}',
    )
    try:
        refused_until_mended(pair, r"the clock is (89|90|91) s behind", "timedatectl set-ntp true")
    finally:
        pair.sh("beta", f"rm {double}")


def test_a_disk_that_is_full_is_seen_with_its_mend(pair: Pair) -> None:
    pair.sh(
        "beta",
        "mount -t tmpfs -o size=300m tmpfs /var/lib/docker && head -c 200M /dev/zero >/var/lib/docker/images",
    )
    try:
        place = "/var/lib/docker"
        refused_until_mended(pair, rf"100 MiB free on {place}", f"some space on {place}")
    finally:
        pair.sh("beta", "umount /var/lib/docker")


def test_an_apply_killed_while_it_takes_the_lock_lets_the_next_one_in_after_the_lease(
    pair: Pair, killed: list[Working]
) -> None:
    first = start(pair, "apply", "-y")
    held = "test -f /var/lib/dagfleet/lock/owner && echo held || true"
    first.until(lambda _working: pair.sh("alpha", held) == "held\n")
    first.kill()
    killed.append(first)
    at_once = pair.operator.run("apply", "-y")
    assert at_once.code == 4, at_once.output + at_once.errors
    assert re.search(r'runs "dagfleet apply -y" since .*lease renewed \d+ s ago', at_once.errors)
    assert "dagfleet lock release" in at_once.errors
    early = pair.operator.run("lock", "release")
    assert early.code == 4, early.output + early.errors
    second = start(pair, "apply", "-y", "--wait", LEASE)
    second.until(says("lock +taken by"))
    second.kill()
    killed.append(second)


@pytest.mark.parametrize("phase", MOMENTS)
def test_an_apply_killed_in_any_phase_leaves_what_the_next_goes_on_from(
    pair: Pair, killed: list[Working], phase: str
) -> None:
    released = pair.operator.run("lock", "release", "--force")
    assert released.code == 0, released.output + released.errors
    apply = start(pair, "apply", "-y")
    apply.until(MOMENTS[phase])
    apply.kill()
    killed.append(apply)
    assert "\ndone " not in apply.output


def test_the_apply_after_them_heals_everything(pair: Pair, killed: list[Working]) -> None:
    assert len(killed) == len(MOMENTS) + 2
    healed = pair.operator.run("apply", "-y", "--wait", LEASE)
    assert healed.code == 0, healed.output + healed.errors
    assert [working.orphans() for working in killed] == [[] for _ in killed]
    told = pair.operator.run("history", "--json")
    assert [release["number"] for release in told.json] == [1], told.output + told.errors
    for command in ("check", "status", "doctor", "plan"):
        well = pair.operator.run(command)
        assert well.code == 0, f"{command}: {well.output}{well.errors}"
    full = pair.operator.run("apply", "-y", "--full")
    assert full.code == 0, full.output + full.errors
    assert full.output.count(" 0 changed") == 2 * len(pair.ADDRESSES), full.output


def test_docker_settings_of_the_hosts_owner_are_kept(pair: Pair) -> None:
    settings = json.loads(pair.sh("beta", "cat /etc/docker/daemon.json"))
    assert settings["shutdown-timeout"] == 7
    assert settings["live-restore"] is True


def test_a_dry_run_changes_nothing_although_much_would_change(pair: Pair) -> None:
    before = pair.state()
    with pair.file_with("concurrent_runs: 4", "concurrent_runs: 5"):
        planned = pair.operator.run("plan")
    assert planned.code == 2, planned.output + planned.errors
    assert re.search("(?m)^ *alpha +~ ", planned.output), planned.output
    assert pair.state() == before


def test_two_applies_at_once_are_one_and_a_refusal_that_names_the_other(pair: Pair) -> None:
    first = start(pair, "apply", "-y", "--full")
    first.until(says("lock +taken by"))
    second: Result = pair.operator.run("apply", "-y")
    assert second.code == 4, second.output + second.errors
    [who] = re.findall(r"lock +taken by (\S+),", first.output)
    assert f'{Pair.NAME} is locked: {who} runs "dagfleet apply -y --full" since ' in second.errors
    assert "--wait 10m" in second.errors
    code, output, errors = first.ended()
    assert code == 0, output + errors


def test_a_host_lost_in_the_middle_stays_behind_and_the_others_are_done(pair: Pair) -> None:
    with pair.file_with("concurrent_runs: 4", "concurrent_runs: 5"):
        apply = start(pair, "apply", "-y", "--full")
        apply.until(logs(r"(?s)playbooks/hosts.yml.*(ok|changed) +beta: base: "))
        pair.machine("beta").kill()
        code, output, errors = apply.ended()
        assert code == 5, output + errors
        assert re.search(r"beta +stopped at ", output), output
        assert "1 host of 2 stayed behind. beta stopped at" in errors
        assert "alpha is done" in errors
        assert "dagfleet apply finishes the job" in errors
        assert re.search(r"services alpha .* [1-9]\d* changed", output), output
        limits = "grep -A 3 code_location /var/lib/dagfleet/dagster_home/dagster.yaml"
        assert "limit: 5" in pair.sh("alpha", limits)
        told = pair.operator.run("history", "--json")
        assert told.code == 0, told.output + told.errors
        assert told.json[-1]["stopped"] == ["beta"]

        pair.machine("beta").start()
        deadline = time.monotonic() + 120
        while (back := pair.operator.run("check")).code:
            assert time.monotonic() < deadline, back.output + back.errors
        healed = pair.operator.run("apply", "-y")
        assert healed.code == 0, healed.output + healed.errors
        well = pair.operator.run("doctor")
        assert well.code == 0, well.output + well.errors


def test_destroy_leaves_what_was_there_before_such_as_the_owners_docker_settings(pair: Pair) -> None:
    destroyed = pair.operator.run("destroy", "--data", "--yes-destroy", Pair.NAME)
    assert destroyed.code == 0, destroyed.output + destroyed.errors
    for host in pair.ADDRESSES:
        now = machine_state(pair, host)
        assert not now - pair.fresh[host], (host, sorted(now - pair.fresh[host]))
        assert not pair.fresh[host] - now, (host, sorted(pair.fresh[host] - now))
    assert json.loads(pair.sh("beta", "cat /etc/docker/daemon.json")) == {"shutdown-timeout": 7}

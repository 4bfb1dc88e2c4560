"""kill -9 of the daemon at each step of a launch: never two containers, and one reap leaves no orphan.

DAGFLEET_KILLS says how often at each step, and at as many moments between them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster_multihost_launcher import adoption
from docker import APIClient

from tests.docker.faults.conftest import PREFIX, SOCKET
from tests.docker.faults.daemon import AFTER_SECONDS, POINTS
from tests.unit.launcher.runs import create_run

BETA = {"host_name": "beta", "docker_url": f"unix://{SOCKET}", "location_names": ["etl"]}
KILLS_AT_EACH_STEP = int(os.environ.get("DAGFLEET_KILLS", "4"))


def killed_daemons(folder: Path, orders: list[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Have a daemon launch each run and die at its point; return how the daemons ended, by point."""
    ends: Counter[tuple[str, str]] = Counter()
    command = [sys.executable, "-m", "tests.docker.faults.daemon", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemons:
        assert daemons.stdin
        assert daemons.stdout
        for run_id, point in orders:
            daemons.stdin.write(json.dumps({"run_id": run_id, "point": point}) + "\n")
            daemons.stdin.flush()
            ends[point, daemons.stdout.readline().strip()] += 1
        daemons.stdin.close()
    return ends


def test_a_daemon_killed_at_any_step_of_a_launch_leaves_no_duplicate_and_after_one_reap_no_orphan(
    load: Callable[..., DagsterInstance],
    docker: APIClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [point for point in POINTS for _ in range(KILLS_AT_EACH_STEP)]
    moments = [number / KILLS_AT_EACH_STEP / 4 for number in range(KILLS_AT_EACH_STEP)]
    points += [f"{AFTER_SECONDS}{seconds:.3f}" for seconds in moments]
    before = load(docker_hosts=[BETA])
    runs = {create_run(before).run_id: point for point in points}
    ends = killed_daemons(tmp_path / "home", list(runs.items()))
    missed = {point for (point, how) in ends if how != "killed"}
    assert not {point for point in missed if not point.startswith(AFTER_SECONDS)}

    # The next daemon would be a new process; here it is this one.
    monkeypatch.setattr(adoption, "process_began", lambda: time.time() + 1)
    after = load(docker_hosts=[BETA], reaper={"keep_successful_hours": 0.0, "keep_failed_hours": 0.0})
    for run_id in after.run_launcher.adoption.left_behind(after):
        after.run_launcher.adoption.adopt(after, run_id)
    after.run_launcher.reaper.look(sweep=True, wait_seconds=120)

    containers: dict[str, list[str]] = {run_id: [] for run_id in runs}
    for each in docker.containers(all=True, filters={"label": f"{PREFIX}/managed"}):
        containers[each["Labels"][f"{PREFIX}/run_id"]].append(each["State"])
    outcomes = Counter(
        (point, str(status_of(after, run_id)), tuple(containers[run_id])) for run_id, point in runs.items()
    )
    duplicates = [found for found in outcomes if len(found[2]) > 1]
    assert not duplicates
    has_a_place = {("STARTING", ("running",)), ("QUEUED", ()), ("FAILURE", ())}
    orphans = {found: count for found, count in outcomes.items() if found[1:] not in has_a_place}
    assert not orphans


def status_of(instance: DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run
    return DagsterRunStatus(run.status).value

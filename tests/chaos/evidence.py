"""What the fleet's database and doctor say; the database by a side door that no fault closes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from tests.chaos.accounting import ENDED, Found, Launched
from tests.e2e.deployed import DeployedFleet

FAULT_TAG = "chaos/fault"
POLL_SECONDS = 2
# RUN_START and a step's success are written by the run's own process, the status by others, too.
_RUNS = """
SELECT json_build_object(
  'run_id', r.run_id, 'status', r.status,
  'created', extract(epoch FROM r.create_timestamp AT TIME ZONE 'UTC'), 'ended', r.end_time,
  'host', coalesce((SELECT value FROM run_tags t
    WHERE t.run_id = r.run_id AND t.key = 'multihost_docker/host_name' LIMIT 1), 'delta'),
  'starts', (SELECT count(*) FROM event_logs e
    WHERE e.run_id = r.run_id AND e.dagster_event_type = 'PIPELINE_START'),
  'worked', EXISTS (SELECT 1 FROM event_logs e
    WHERE e.run_id = r.run_id AND e.dagster_event_type = 'STEP_SUCCESS'))
FROM runs r JOIN run_tags f ON f.run_id = r.run_id AND f.key = '{tag}' AND f.value = '{fault}';
"""


def runs(fleet: DeployedFleet, fault: str) -> dict[str, Found]:
    """Return every run that carries a fault's tag."""
    question = _RUNS.format(tag=FAULT_TAG, fault=fault)
    ask = "cd / && runuser -u postgres -- psql --no-psqlrc -Atp 6431 -v ON_ERROR_STOP=1 dagster -c"
    said = fleet.sh("alpha", f'{ask} "{question}"')
    rows = [json.loads(line) for line in said.splitlines() if line]
    return {row.pop("run_id"): Found(**row) for row in rows}


def settled(
    fleet: DeployedFleet, fault: str, launched: list[Launched], *, seconds: float
) -> dict[str, Found]:
    """Wait until every run has ended, at most so long; return what the database has then."""
    deadline = time.monotonic() + seconds
    while True:
        found = runs(fleet, fault)
        ended = {run_id for run_id, each in found.items() if each.status in ENDED}
        if all(run.run_id in ended for run in launched) or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def named(fleet: DeployedFleet, told: str, *, seconds: float) -> bool:
    """Tell whether doctor says it while the fault lasts."""
    return _until(lambda: bool(re.search(told, fleet.operator.run("doctor").output)), seconds)


def healthy(fleet: DeployedFleet, *, seconds: float) -> bool:
    """Tell whether the fleet becomes well without a hand."""
    return _until(lambda: fleet.operator.run("doctor").code == 0, seconds)


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True

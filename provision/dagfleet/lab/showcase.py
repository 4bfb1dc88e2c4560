"""The runs that the demo shows: launched through the web UI's own endpoint, then looked for on the hosts."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dagfleet.control.documents import RUN_EVENTS
from dagfleet.control.plane import JobSelector, Plane, RunState
from dagfleet.control.session import Session
from dagfleet.fleet import FleetFile
from dagfleet.image import docker_endpoint

RUN_SECONDS = 180
MOST_ETL_RUNS = 6
HOST_TAG = "multihost_docker/host_name"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A run, and where it was seen: `host` and `container` are what that host's own Docker says."""

    state: RunState
    location: str
    host: str
    container: str


def run(session: Session, fleet_file: FleetFile) -> list[Shown]:
    """Run `etl` until every host of its pool has executed a run, and `reporting` once; return all runs."""
    plane = Plane(session)
    pool = set(fleet_file.fleet.locations["etl"].hosts)
    months = [f"2012-{month:02d}-01" for month in range(1, MOST_ETL_RUNS + 1)]
    states: list[RunState] = []
    while months and {state.tags.get(HOST_TAG) for state in states} < pool:
        # As many at once as hosts have none yet: an idle pool spreads them.
        batch = [months.pop(0) for _ in range(min(len(pool), len(months)))]
        states += _finish(plane, [_launch(plane, "etl", "daily_weather", month) for month in batch])
    shown = [_in_container(fleet_file, state) for state in states]
    [state] = _finish(plane, [_launch(plane, "reporting", "airport_report")])
    process = _process(session, state.run_id)
    shown.append(
        Shown(
            state=state,
            location="reporting",
            host=fleet_file.fleet.locations["reporting"].hosts[0] if process else "",
            container=f"process {process}" if process else "",
        )
    )
    return shown


def complaints(shown: Sequence[Shown]) -> list[str]:
    """Return a sentence for each run that did not succeed where it should have."""
    found = [
        f"run {entry.state.run_id} of {entry.location} ended as {entry.state.status}"
        for entry in shown
        if entry.state.status != "SUCCESS"
    ]
    etl = [entry for entry in shown if entry.location == "etl"]
    found += [
        f"run {entry.state.run_id} of etl has no container on any host"
        for entry in etl
        if not entry.container
    ]
    if len({entry.host for entry in etl if entry.host}) < 2:
        found.append(f"{len(etl)} runs of etl did not reach both of its hosts")
    return found


def table(shown: Sequence[Shown]) -> list[str]:
    """Return the runs as lines of a table."""
    head = ("RUN", "LOCATION", "JOB", "HOST", "CONTAINER", "STATUS", "SECONDS")
    rows = [head, *(_row(entry) for entry in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(shown: Shown) -> tuple[str, ...]:
    state = shown.state
    seconds = "" if state.seconds is None else f"{state.seconds:.1f}"
    return (
        state.run_id[:8], shown.location, state.job, shown.host, shown.container, state.status, seconds,
    )  # fmt: skip


def _launch(plane: Plane, location: str, job: str, partition: str | None = None) -> str:
    return plane.launch(JobSelector(location=location, job=job), partition=partition)


def _finish(plane: Plane, run_ids: Sequence[str]) -> list[RunState]:
    deadline = time.monotonic() + RUN_SECONDS
    return [plane.finished(run_id, timeout=max(1, deadline - time.monotonic())) for run_id in run_ids]


def _in_container(fleet_file: FleetFile, state: RunState) -> Shown:
    for host in fleet_file.fleet.locations["etl"].hosts:
        client = docker_endpoint(fleet_file, host, "reader")
        try:
            found = client.api.containers(all=True, filters={"label": f"dagster/run_id={state.run_id}"})
        finally:
            client.close()
        if found:
            name = found[0]["Names"][0].lstrip("/")
            return Shown(state=state, location="etl", host=host, container=name)
    return Shown(state=state, location="etl", host="", container="")


def _process(session: Session, run_id: str) -> str | None:
    """Return the process that executed a run without Docker, as the run's own events name it."""
    events = session.query(RUN_EVENTS, {"runId": run_id})["logsForRun"].get("events", ())
    found = (re.search(r"\(pid: (\d+)\)", event.get("message", "")) for event in events)
    return next((match[1] for match in found if match), None)

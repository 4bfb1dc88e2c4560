"""Runs that flow while something breaks: a few at a time, of both locations, each with the fault's tag."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dagfleet.control.plane import JobSelector
from dagfleet.errors import DagfleetError

from tests.chaos.accounting import Launched
from tests.chaos.evidence import FAULT_TAG
from tests.e2e.deployed import DeployedFleet

PAUSE_SECONDS = 2
JOBS = (
    (JobSelector("etl", "daily_weather"), True),
    (JobSelector("etl", "hourly_temperatures"), True),
    (JobSelector("reporting", "airport_report"), False),
)


class Traffic:
    """Launches runs until so many were taken; one that is refused, or gets no answer, is tried again."""

    def __init__(self, fleet: DeployedFleet, fault: str, count: int) -> None:
        self.launched: list[Launched] = []
        self.refused = 0
        self._fleet, self._fault, self._count = fleet, fault, count

    def run(self) -> None:
        """Launch them all; a web server that is away for a while is waited for."""
        months = (f"2012-{month:02d}-01" for month in itertools.cycle(range(1, 13)))
        for (job, partitioned), _ in zip(itertools.cycle(JOBS), range(self._count), strict=False):
            partition = next(months) if partitioned else None
            while (run_id := self._launch(job, partition)) is None:
                self.refused += 1
                time.sleep(PAUSE_SECONDS)
            self.launched.append(Launched(run_id=run_id, location=job.location))
            time.sleep(PAUSE_SECONDS)

    def _launch(self, job: JobSelector, partition: str | None) -> str | None:
        try:
            with self._fleet.plane() as plane:
                return plane.launch(job, partition=partition, tags={FAULT_TAG: self._fault})
        except (DagfleetError, OSError):
            return None


@contextmanager
def flowing(fleet: DeployedFleet, fault: str, count: int) -> Iterator[Traffic]:
    """Launch so many runs while the block works; all were taken at its end."""
    traffic = Traffic(fleet, fault, count)
    thread = threading.Thread(target=traffic.run)
    thread.start()
    try:
        yield traffic
    finally:
        thread.join()

"""The measurements: what one daemon does with one queue."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import yaml

from tests.bench.queue.server import Server, Usage

ROOT = Path(__file__).parents[3]
PATIENCE = 120
WARM = 10
STOCK = {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}
OURS = {"module": "clt_queued_run_coordinator.coordinator", "class": "CLTQueuedRunCoordinator"}
# Dagster's event in Dagster's words; one transaction, so that the moment of the commit is known.
_END = """
with ended as (
  update runs set status = 'SUCCESS', update_timestamp = now() at time zone 'utc',
    end_time = extract(epoch from now())
  where run_id = (select run_id from runs where status in ('STARTING', 'STARTED') order by {order} limit 1)
  returning run_id)
select run_id from ended
"""


class Worker:
    """A process that holds a daemon; see worker.py."""

    def __init__(self, python: str | Path, coordinator: dict[str, str], folder: Path) -> None:
        self._coordinator, self._folder = coordinator, folder
        self._process = subprocess.Popen(
            [python, "-m", "tests.bench.queue.worker"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "DAGSTER_DISABLE_TELEMETRY": "yes"},
        )  # fmt: skip
        self.launches: queue.Queue[tuple[str, float]] = queue.Queue()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def open(self, url: str, keys: dict[str, Any]) -> str:
        """Load an instance on this database with these keys of its coordinator."""
        settings = {
            "storage": {"postgres": {"postgres_url": url}},
            "run_coordinator": {**self._coordinator, "config": keys},
            "run_launcher": {"module": "tests.bench.queue.nothing", "class": "NothingLauncher"},
            "telemetry": {"enabled": False},
        }
        self._folder.mkdir(exist_ok=True)
        (self._folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
        return str(self.ask("open", home=str(self._folder))["opened"])

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answers.get(timeout=600)

    @contextmanager
    def running(self, url: str, keys: dict[str, Any]) -> Iterator[None]:
        """Run the daemon's loop on this database."""
        self.open(url, keys)
        while not self.launches.empty():
            self.launches.get()
        self.ask("start")
        try:
            yield
        finally:
            self.ask("stop")

    def close(self) -> None:
        """End the process, which holds nothing."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            if "launched" in said:
                self.launches.put((said["launched"], said["at"]))
            else:
                self._answers.put(said)


@dataclass(frozen=True)
class Drain:
    """Launches from the first one on: how many, in how many seconds, and what the server did meanwhile."""

    launches: int
    seconds: float
    usage: Usage

    @property
    def rate(self) -> float:
        """Launches per second."""
        return self.launches / self.seconds

    @property
    def cpu(self) -> float:
        """Seconds of PostgreSQL's CPU per launch."""
        return self.usage.cpu / self.launches

    @property
    def statements(self) -> float:
        """Statements per launch."""
        return self.usage.statements / self.launches


def drain(
    server: Server, worker: Worker, database: str, keys: dict[str, Any], *, queued: int, window: float,
    bounced: bool = False,
) -> Drain:  # fmt: skip
    """Let the daemon launch all that is queued, or what it manages in a window of seconds."""
    with worker.running(server.url(database, bounced=bounced), keys):
        _, first = worker.launches.get(timeout=PATIENCE)
        before, count, last = server.usage(database), 0, first
        while count < queued - 1 and last - first < window:
            _, last = worker.launches.get(timeout=PATIENCE)
            count += 1
        return Drain(count, last - first, server.usage(database) - before)


def passes(server: Server, worker: Worker, database: str, keys: dict[str, Any], *, times: int) -> list[float]:
    """Let Dagster's daemon do single passes with room for one launch each; return their seconds."""
    worker.open(server.url(database), keys)
    seconds = []
    for _ in range(times):
        seconds.append(worker.ask("iterate")["seconds"])
        worker.launches.get(timeout=PATIENCE)
        server.ask(database, _END.format(order="update_timestamp desc"))
    return seconds


def reactions(
    server: Server,
    worker: Worker,
    database: str,
    keys: dict[str, Any],
    *,
    times: int,
    apart: float,
    warm: bool = True,
) -> tuple[list[float], int]:
    """Free a slot of a full queue again and again: the seconds from each commit to the next launch.

    Also how many connections were made meanwhile.
    """
    seconds = []
    with worker.running(server.url(database), keys):
        connection = psycopg2.connect(server.url(database))
        connection.autocommit = True
        with connection.cursor() as cursor:
            # The daemon reads the queue and finds it full.
            time.sleep(1 + apart)
            # Until its pool holds the connections that two threads at once ever wanted.
            for number in range(WARM if warm else 0):
                _free(cursor, first=number == 0)
                worker.launches.get(timeout=PATIENCE)
            connected = server.connections(database)
            for number in range(times):
                # Not in step with anything that the daemon does at intervals.
                time.sleep((0.2 + number * 0.618 % 0.8) * apart)
                freed = _free(cursor, first=not warm)
                _, launched = worker.launches.get(timeout=PATIENCE)
                seconds.append(launched - freed)
        connections = server.connections(database) - connected
        connection.close()
    return seconds, connections


def submits(server: Server, worker: Worker, database: str, run_ids: Sequence[str]) -> list[float]:
    """Submit runs one after the other; return the seconds of each, the first ones left out."""
    worker.open(server.url(database), {})
    return list(worker.ask("submit", run_ids=list(run_ids))["seconds"])[5:]


def _free(cursor: Any, *, first: bool = False) -> float:
    # The last one launched; at first, the first active one.
    cursor.execute(_END.format(order="id" if first else "update_timestamp desc"))
    freed = time.time()
    assert cursor.fetchone()
    return freed

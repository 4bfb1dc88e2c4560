"""A process that holds one daemon and does what its standard input says, a line of JSON each.

open HOME; iterate: one pass of Dagster's daemon; start and stop: the daemon's loop; submit RUN_IDS.
Dagster is all it imports, because the reference coordinator's environment has nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from dagster import DagsterInstance
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon import controller

from tests.bench.queue.nothing import say


class Worker:
    """One instance at a time."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._shutdown = threading.Event()
        self._loop: threading.Thread | None = None

    def open(self, home: str) -> None:
        """Load the instance in this folder and its queue daemon: ours puts itself in Dagster's place."""
        self._stack.close()
        os.environ["DAGSTER_HOME"] = home
        self._instance = self._stack.enter_context(DagsterInstance.from_config(home))
        coordinator = self._instance.run_coordinator
        self._context = self._stack.enter_context(
            WorkspaceProcessContext(self._instance, EmptyWorkspaceTarget())
        )
        make: Any = controller.QueuedRunCoordinatorDaemon
        self._daemon = self._stack.enter_context(
            make(interval_seconds=getattr(coordinator, "dequeue_interval_seconds", 5))
        )
        say(opened=f"{type(self._daemon).__name__} with {type(coordinator).__name__}")

    def iterate(self) -> None:
        """Run one pass and say how long it took."""
        began = time.monotonic()
        for _ in self._daemon.run_iteration(self._context):
            pass
        say(seconds=time.monotonic() - began)

    def start(self) -> None:
        """Run the daemon's loop until `stop`."""
        self._shutdown = threading.Event()
        self._loop = threading.Thread(target=self._run)
        self._loop.start()
        say(started=time.time())

    def stop(self) -> None:
        """End the loop and the instance."""
        self._shutdown.set()
        if self._loop:
            self._loop.join()
        self._loop = None
        self._stack.close()
        say(stopped=time.time())

    def submit(self, run_ids: list[str]) -> None:
        """Submit these runs one after the other and say how long each took."""
        workspace = self._context.create_request_context()
        seconds = []
        for run_id in run_ids:
            run = self._instance.get_run_by_id(run_id)
            assert run is not None
            began = time.monotonic()
            self._instance.run_coordinator.submit_run(SubmitRunContext(run, workspace))
            seconds.append(time.monotonic() - began)
        say(seconds=seconds)

    def _run(self) -> None:
        for _ in self._daemon.core_loop(self._context, self._shutdown):
            if self._shutdown.is_set():
                return


def main() -> None:
    """Obey until standard input ends."""
    logging.disable(logging.INFO)
    worker = Worker()
    for line in sys.stdin:
        order = json.loads(line)
        getattr(worker, order.pop("do"))(**order)


if __name__ == "__main__":
    main()

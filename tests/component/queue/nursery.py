"""Starts queue daemons by forking, in milliseconds, so that a hundred of them can be killed.

Reads a JSON object per line: `start` forks a daemon for a DAGSTER_HOME and answers its pid; `wait` reaps one.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from functools import cache
from typing import Any

from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from sqlalchemy import event
from sqlalchemy.engine import Engine

import tests.component.queue.launchers  # noqa: F401 - loaded before the fork


@cache
def loaded(home: str) -> WorkspaceProcessContext:
    """Load an instance once; Dagster's storage keeps no connection open that a fork would share."""
    return WorkspaceProcessContext(DagsterInstance.from_config(home), EmptyWorkspaceTarget())


def main() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "wait":
            reap(command["pid"], command["within"])
            print(json.dumps({"reaped": command["pid"]}), flush=True)
            continue
        context = loaded(command["home"])
        pid = os.fork()
        if pid == 0:
            os.setsid()
            # The parent's pipe must not stay open in a daemon that outlives a failed test.
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(os.open(command["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 1)
            os.dup2(1, 2)
            run(context, command.get("die_at"))
        print(json.dumps({"pid": pid}), flush=True)


def reap(pid: int, within: float) -> None:
    """Wait for a daemon to die; kill it if it has not."""
    deadline = time.monotonic() + within
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.005)


def run(context: WorkspaceProcessContext, die_at: int | None) -> None:
    """Run the daemon's loop as Dagster's controller does, without heartbeats; never returns."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(process)d %(threadName)s %(message)s", force=True)
    if die_at is not None:
        die_at_statement(die_at)
    try:
        coordinator: Any = context.instance.run_coordinator
        daemon = FleetQueueDaemon(interval_seconds=coordinator.dequeue_interval_seconds)
        for _ in daemon.core_loop(context, threading.Event()):
            pass
    except BaseException:
        logging.exception("the daemon ended")
    os._exit(1)


def die_at_statement(number: int) -> None:
    """Kill this process at its n-th statement: before it is sent if n is even, after its answer if odd."""
    left = [number // 2]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute" if number % 2 else "before_cursor_execute", count)


if __name__ == "__main__":
    main()

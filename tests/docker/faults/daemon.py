"""Daemons to be killed: a process that has Dagster imported forks one for each launch it is told to do.

usage: python -m tests.docker.faults.daemon FOLDER_WITH_DAGSTER_YAML
Each line of its input is a JSON object with `run_id` and `point`; it answers each with how the daemon ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from dagster import DagsterInstance

from tests.unit.launcher.runs import launching

_STEPS = ("create", "tags", "start", "event")
POINTS = (
    *(f"{when} {step}" for step in _STEPS for when in ("before", "after")),
    "during create",
    "during start",
)
AFTER_SECONDS = "after seconds "
_DOCKER_HAS_BEGUN = 0.004  # seconds


def die() -> None:
    """End as by kill -9: no handler, no finally, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def dying(point: str, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call, with the daemon's death before, during or after it."""

    def called(*args: Any, **kwargs: Any) -> Any:
        if point == f"before {step}":
            die()
        if point == f"during {step}":
            threading.Thread(target=call, args=args, kwargs=kwargs, daemon=True).start()
            time.sleep(_DOCKER_HAS_BEGUN)
            die()
        result = call(*args, **kwargs)
        if point == f"after {step}":
            die()
        return result

    return called


def launch(folder: str, run_id: str, point: str) -> None:
    """Launch a run as the daemon does, to die at the point."""
    with DagsterInstance.from_config(folder) as instance:
        run = instance.get_run_by_id(run_id)
        assert run
        instance.add_run_tags = dying(point, "tags", instance.add_run_tags)  # type: ignore[method-assign]
        instance.report_engine_event = dying(point, "event", instance.report_engine_event)  # type: ignore[method-assign]
        send = requests.Session.send

        def sent(session: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
            step = (request.path_url.partition("?")[0]).rsplit("/", 1)[1]
            return dying(point, step, send)(session, request, **kwargs)

        requests.Session.send = sent  # type: ignore[method-assign]
        if point.startswith(AFTER_SECONDS):
            threading.Timer(float(point.removeprefix(AFTER_SECONDS)), die).start()
        instance.run_launcher.launch_run(launching(run))


def main(folder: str) -> None:
    """Fork a daemon for each line of input."""
    with DagsterInstance.from_config(folder) as instance:  # so that every module is imported before the fork
        assert instance.run_launcher
        assert instance.get_runs_count() >= 0
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                launch(folder, order["run_id"], order["point"])
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""A launcher whose launches are lines of a file: what a Docker host or a cluster would show."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData


class NotNow(Exception):  # noqa: N818 - an outcome, with the attributes that our launcher uses
    """What a full host says."""

    reason = "Every host of it is full."

    def __init__(self, seconds: float) -> None:
        super().__init__(self.reason)
        self.retry_after_seconds = seconds


class FileLauncher(RunLauncher[Any], ConfigurableClass):
    """Launches by appending a line; some locations misbehave by their name."""

    def __init__(self, path: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._path = Path(path)
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> Any:
        return {"path": str}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, path=config_value["path"])

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        origin = run.remote_job_origin
        location = origin.location_name if origin else ""
        if location == "hangs":
            time.sleep(3600)
        if location == "full":
            raise NotNow(1.0)
        avoid = run.tags.get("multihost/avoid_hosts", "").split(",")
        if location == "on-beta" and "beta" in avoid:
            raise NotNow(3600)
        if run.tags.get("multihost/host") == "full":
            raise NotNow(3600)
        if location == "unreachable":
            raise DagsterUserCodeUnreachableError("no answer")
        if location == "broken":
            raise RuntimeError("the image does not exist")
        # One short write to a file that is opened for appending: whole, or not at all.
        with self._path.open("a") as launches:
            launches.write(f"{run.run_id}\n")

    def terminate(self, run_id: str) -> bool:
        raise NotImplementedError(run_id)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        found = run.run_id in self._path.read_text().split()
        return CheckRunHealthResult(WorkerStatus.RUNNING if found else WorkerStatus.NOT_FOUND)

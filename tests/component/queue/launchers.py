"""A launcher whose launches are rows of a table: what a Docker host or a cluster would show."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

import psycopg2
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData

TABLE = "create table if not exists launches (run_id text, location text, pid int, at timestamptz default now())"


class NotNow(Exception):  # noqa: N818 - an outcome, with the attributes that our launcher uses
    """What a full host says."""

    reason = "Every host of it is full."

    def __init__(self, seconds: float) -> None:
        super().__init__(self.reason)
        self.retry_after_seconds = seconds


class TableLauncher(RunLauncher[Any], ConfigurableClass):
    """Launches by inserting a row; some locations misbehave by their name."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._url = url
        self._connection: Any = None
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> Any:
        return {"url": str}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, url=config_value["url"])

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        origin = run.remote_job_origin
        location = origin.location_name if origin else ""
        if location == "hangs":
            time.sleep(3600)
        if location == "full":
            raise NotNow(1.0)
        if location == "unreachable":
            raise DagsterUserCodeUnreachableError("no answer")
        if location == "broken":
            raise RuntimeError("the image does not exist")
        self._execute("insert into launches (run_id, location, pid) values (%s, %s, pg_backend_pid())",
                      run.run_id, location)  # fmt: skip

    def terminate(self, run_id: str) -> bool:
        raise NotImplementedError(run_id)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        found = self._execute("select 1 from launches where run_id = %s", run.run_id)
        return CheckRunHealthResult(WorkerStatus.RUNNING if found else WorkerStatus.NOT_FOUND)

    def _execute(self, statement: str, *parameters: str) -> list[Any]:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

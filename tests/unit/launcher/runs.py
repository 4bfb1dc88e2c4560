"""Dagster instances from a dagster.yaml, and runs as the control plane would have created them."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.code_pointer import FileCodePointer
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test


@contextmanager
def instance_from(folder: Path, config: Mapping[str, Any]) -> Iterator[DagsterInstance]:
    """Write dagster.yaml and load the instance from it.

    Its SQLite files are copies of empty ones, because creating the tables anew takes a second.
    """
    if not (folder / "history").exists():
        shutil.copytree(_empty_storage(), folder, dirs_exist_ok=True)
    _write(folder, config)
    with DagsterInstance.from_config(str(folder)) as instance:
        yield instance


@cache
def _empty_storage() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dagfleet-test-storage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _write(folder, {})
    with DagsterInstance.from_config(str(folder)) as instance:
        run = create_run(instance)
        instance.report_run_failed(run)
        instance.delete_run(run.run_id)
    (folder / "dagster.yaml").unlink()
    return folder


def _write(folder: Path, config: Mapping[str, Any]) -> None:
    one_event_log = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": str(folder / "events")},
    }
    fixed = {"telemetry": {"enabled": False}, "event_log_storage": one_event_log}
    (folder / "dagster.yaml").write_text(yaml.safe_dump({**fixed, **config}))


def launcher_config(**config: Any) -> dict[str, Any]:
    """Return dagster.yaml's run_launcher for this configuration."""
    return {
        "run_launcher": {
            "module": "dagster_multihost_launcher",
            "class": "MultiHostDockerRunLauncher",
            "config": config,
        }
    }


def create_run(
    instance: DagsterInstance,
    *,
    location: str | None = "etl",
    status: DagsterRunStatus = DagsterRunStatus.STARTING,
    tags: Mapping[str, str] | None = None,
    image: str | None = None,
    job_name: str = "nightly",
) -> DagsterRun:
    """Create a run of a job in a code location whose server reported `image`."""
    run: DagsterRun = create_run_for_test(
        instance,
        job_name=job_name,
        status=status,
        tags=dict(tags or {}),
        remote_job_origin=_remote_origin(location, job_name) if location else None,
        job_code_origin=_code_origin(job_name, image),
    )
    return run


def launching(run: DagsterRun, workspace: Any = None) -> LaunchRunContext:
    """Return the context with which a queue daemon launches a run."""
    return LaunchRunContext(dagster_run=run, workspace=workspace)


def reloaded(instance: DagsterInstance, run: DagsterRun) -> DagsterRun:
    """Return the run as the storage has it now."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def messages(instance: DagsterInstance, run: DagsterRun) -> str:
    """Return all messages of the run's event log."""
    return "\n".join(
        entry.dagster_event.message or "" for entry in instance.all_logs(run.run_id) if entry.dagster_event
    )


def _remote_origin(location: str, job_name: str) -> RemoteJobOrigin:
    origin = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name=location)
    return RemoteJobOrigin(RemoteRepositoryOrigin(origin, "__repository__"), job_name)


def _code_origin(job_name: str, image: str | None) -> JobPythonOrigin:
    return JobPythonOrigin(
        job_name=job_name,
        repository_origin=RepositoryPythonOrigin(
            executable_path=sys.executable,
            code_pointer=FileCodePointer("/nowhere/definitions.py", "defs", "/nowhere"),
            container_image=image,
            entry_point=["dagster"],
        ),
    )

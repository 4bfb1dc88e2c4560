"""The commands that Dagster's command line runs in a run container."""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import DagsterInstance
from dagster import _check as check
from dagster._core.instance import InstanceRef
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs


def execute_run(instance: DagsterInstance, context: LaunchRunContext) -> Sequence[str]:
    """Return the command that executes a run from its beginning."""
    return ExecuteRunArgs(
        job_origin=check.not_none(context.job_code_origin),
        run_id=context.dagster_run.run_id,
        instance_ref=for_containers(instance.get_ref()),
    ).get_command_args()


def resume_run(instance: DagsterInstance, context: ResumeRunContext) -> Sequence[str]:
    """Return the command that continues a run whose worker died."""
    return ResumeRunArgs(
        job_origin=check.not_none(context.job_code_origin),
        run_id=context.dagster_run.run_id,
        instance_ref=for_containers(instance.get_ref()),
    ).get_command_args()


def for_containers(ref: InstanceRef) -> InstanceRef:
    """Return the reference without the one setting that makes Dagster load the run launcher at once.

    Otherwise launcher and coordinator are loaded when they are first used, which a run does not, so its
    image needs neither package. Monitoring is the daemon's business anyway.
    """
    monitoring: Any = ref.settings.get("run_monitoring")
    if not isinstance(monitoring, Mapping) or not monitoring.get("max_resume_run_attempts"):
        return ref
    return ref._replace(
        settings={**ref.settings, "run_monitoring": {**monitoring, "max_resume_run_attempts": 0}}
    )

"""The commands that Dagster's command line runs in a run container."""

from collections.abc import Sequence

from dagster import DagsterInstance
from dagster import _check as check
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs

from dagster_multihost_launcher.worker_instance import for_workers


def execute_run(instance: DagsterInstance, context: LaunchRunContext) -> Sequence[str]:
    """Return the command that executes a run from its beginning."""
    return ExecuteRunArgs(
        job_origin=check.not_none(context.job_code_origin),
        run_id=context.dagster_run.run_id,
        instance_ref=for_workers(instance.get_ref()),
    ).get_command_args()


def resume_run(instance: DagsterInstance, context: ResumeRunContext) -> Sequence[str]:
    """Return the command that continues a run whose worker died."""
    return ResumeRunArgs(
        job_origin=check.not_none(context.job_code_origin),
        run_id=context.dagster_run.run_id,
        instance_ref=for_workers(instance.get_ref()),
    ).get_command_args()

"""Two assets for the people who run the fleet: what run containers there are, and their clean-up."""

from collections.abc import Mapping

from dagster import (
    AssetExecutionContext,
    AssetKey,
    Definitions,
    Failure,
    MaterializeResult,
    MetadataValue,
    ScheduleDefinition,
    asset,
    define_asset_job,
)

from dagster_multihost_launcher.cleanup import by_host_and_state, clean_up, inventory
from dagster_multihost_launcher.launcher import MultiHostDockerRunLauncher

JOB_NAME = "multihost_admin_job"
STATUS, CLEANUP = "multihost_container_status", "multihost_container_cleanup"
MAX_AGE_TAG = "multihost/cleanup_max_age_hours"
DEFAULT_CRON = "0 3 * * *"
DEFAULT_MAX_AGE_HOURS = 24.0


def build_admin_definitions(
    cron_schedule: str = DEFAULT_CRON, cleanup_max_age_hours: float = DEFAULT_MAX_AGE_HOURS
) -> Definitions:
    """Return the job `multihost_admin_job` of both assets in sequence, and its schedule.

    Args:
        cron_schedule: When to look and clean up; once a day, at night, by default.
        cleanup_max_age_hours: How long a container stays after its run's end. The run tag
            `multihost/cleanup_max_age_hours` replaces it for one run.
    """

    @asset(name=STATUS, group_name="multihost", description="Run containers on each Docker host, by state.")
    def container_status(context: AssetExecutionContext) -> MaterializeResult[None]:
        launcher = _launcher(context)
        found = inventory(launcher.hosts, launcher.labels)
        return MaterializeResult(
            metadata={
                "containers": MetadataValue.json(by_host_and_state(found.containers)),
                "unreachable": MetadataValue.json(dict(found.unreachable)),
            }
        )

    @asset(
        name=CLEANUP,
        deps=[AssetKey(STATUS)],
        group_name="multihost",
        description="Removes dead containers of runs that ended long ago; never one of an unfinished run.",
    )
    def container_cleanup(context: AssetExecutionContext) -> MaterializeResult[None]:
        launcher = _launcher(context)
        outcome = clean_up(
            context.instance,
            launcher.hosts,
            launcher.labels,
            max_age_hours=_max_age(context.run.tags, cleanup_max_age_hours),
        )
        return MaterializeResult(
            metadata={
                "removed": MetadataValue.int(len(outcome.removed)),
                "removed_names": MetadataValue.json([each.name for each in outcome.removed]),
                "kept": MetadataValue.json(dict(outcome.kept)),
                "unreachable": MetadataValue.json(dict(outcome.unreachable)),
            }
        )

    job = define_asset_job(JOB_NAME, selection=[STATUS, CLEANUP])
    return Definitions(
        assets=[container_status, container_cleanup],
        jobs=[job],
        schedules=[ScheduleDefinition(job=job, cron_schedule=cron_schedule)],
    )


def _launcher(context: AssetExecutionContext) -> MultiHostDockerRunLauncher:
    launcher = context.instance.run_launcher
    if not isinstance(launcher, MultiHostDockerRunLauncher):
        raise Failure(
            f"This instance's run launcher is {type(launcher).__name__}, which has no Docker hosts to look"
            " after. Set run_launcher in dagster.yaml to MultiHostDockerRunLauncher."
        )
    return launcher


def _max_age(tags: Mapping[str, str], default: float) -> float:
    text = tags.get(MAX_AGE_TAG)
    if text is None:
        return default
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not hours >= 0:
        raise Failure(f"The run tag {MAX_AGE_TAG} is {text!r}: write a number of hours, 0 or more.")
    return hours

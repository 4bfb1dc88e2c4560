"""Who asked for a run and which code location it belongs to, from sources that the run cannot forge."""

from collections.abc import Mapping

from dagster import DagsterRun
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.storage.tags import (
    AUTO_MATERIALIZE_TAG,
    AUTOMATION_CONDITION_TAG,
    BACKFILL_ID_TAG,
    PARENT_RUN_ID_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)
from dagster._core.workspace.context import WorkspaceRequestContext

from clt_queued_run_coordinator.schema import Extensions

UNKNOWN = "__unknown__"
ANONYMOUS = "anonymous"
CLAIM_SUFFIX = "_claimed"


def code_location_of(run: DagsterRun) -> str:
    """Return the location name in the run's remote origin, which the control plane itself wrote."""
    return run.remote_job_origin.location_name if run.remote_job_origin else UNKNOWN


def user_of(context: SubmitRunContext, extensions: Extensions, parent: DagsterRun | None) -> str:
    """Return the user of the login in front of the web server, else the automation that asked.

    A request from the web may carry any tag, so tags count only for runs that the daemon submits.
    A run that the daemon retries keeps the user of the run it retries.
    """
    if _from_web(context):
        named = context.get_request_header(extensions.user_header) if extensions.user_header else None
        return (named or "").strip() or ANONYMOUS
    return _automation(context.dagster_run.tags) or _inherited(parent, extensions) or ANONYMOUS


def groups_of(location: str, user: str, extensions: Extensions) -> dict[str, str]:
    """Return the tags for host group and team, each only where the configuration has a map for it.

    What a map does not name is `__unknown__`, so that no run chooses its own.
    """
    tags = {}
    if extensions.host_groups:
        tags[extensions.host_group_tag] = extensions.host_groups.get(location, UNKNOWN)
    if extensions.location_teams or extensions.user_teams:
        of_location = extensions.location_teams.get(location, UNKNOWN)
        tags[extensions.team_tag] = extensions.user_teams.get(user, of_location)
    return tags


def trusted_tags(
    context: SubmitRunContext, extensions: Extensions, parent: DagsterRun | None
) -> dict[str, str]:
    """Return the tags to write: the trusted values, and what the run claimed instead of them.

    A value that the run merely inherited from its parent is no claim.
    """
    location = code_location_of(context.dagster_run)
    user = user_of(context, extensions, parent)
    trusted = {
        extensions.code_location_tag: location,
        extensions.user_tag: user,
        **groups_of(location, user, extensions),
    }
    present, inherited = context.dagster_run.tags, parent.tags if parent else {}
    claims = {
        key + CLAIM_SUFFIX: present[key]
        for key, value in trusted.items()
        if key in present and present[key] not in (value, inherited.get(key))
    }
    wanted = {**trusted, **claims}
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def parent_run_id(run: DagsterRun) -> str | None:
    """Return the run that this one re-executes or retries, if its tags name one."""
    return run.tags.get(PARENT_RUN_ID_TAG)


def _from_web(context: SubmitRunContext) -> bool:
    return isinstance(context.workspace, WorkspaceRequestContext) and context.workspace.source is not None


def _automation(tags: Mapping[str, str]) -> str | None:
    for kind, tag in (("schedule", SCHEDULE_NAME_TAG), ("sensor", SENSOR_NAME_TAG)):
        if tag in tags:
            return f"{kind}:{tags[tag]}"
    if BACKFILL_ID_TAG in tags:
        return f"backfill:{tags[BACKFILL_ID_TAG]}"
    if AUTOMATION_CONDITION_TAG in tags or AUTO_MATERIALIZE_TAG in tags:
        return "automation"
    return None


def _inherited(parent: DagsterRun | None, extensions: Extensions) -> str | None:
    return parent.tags.get(extensions.user_tag) if parent else None

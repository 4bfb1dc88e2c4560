"""What a submitted run becomes: its tags, and the caps that it must pass. Pure but for the parent run."""

from collections.abc import Callable
from dataclasses import dataclass

from dagster import DagsterRun
from dagster._core.run_coordinator.base import SubmitRunContext

from clt_queued_run_coordinator.admission.priority import priority_tag
from clt_queued_run_coordinator.admission.verdict import REFUSED_TAG, Applicant, applicant
from clt_queued_run_coordinator.schema import Extensions
from clt_queued_run_coordinator.trust import parent_run_id, trusted_tags

NO_ORIGIN = (
    "It cannot be queued: it names no code location (no remote origin), so nobody could launch it."
    " Submit it through a workspace, for instance from the web UI or `dagster job launch`."
)

# Written by the queue about one run; a run that inherits or claims them starts without.
OWN_TAGS = frozenset({REFUSED_TAG})


@dataclass(frozen=True)
class Ruling:
    """The run with its trusted tags, and who asks to be admitted; None where everybody is."""

    run: DagsterRun
    asking: Applicant | None


def ruling(
    context: SubmitRunContext, extensions: Extensions, parent: Callable[[str], DagsterRun | None]
) -> Ruling:
    """Decide the tags of the run in this context."""
    run = context.dagster_run
    parent_id = parent_run_id(run)
    tags = {**run.tags, **trusted_tags(context, extensions, parent(parent_id) if parent_id else None)}
    if extensions.admission is None:
        return Ruling(run.with_tags(tags), None)
    tags = {key: value for key, value in (tags | priority_tag(tags)).items() if key not in OWN_TAGS}
    asking = applicant(
        extensions.admission,
        user=tags[extensions.user_tag],
        location=tags[extensions.code_location_tag],
    )
    return Ruling(run.with_tags(tags), asking)

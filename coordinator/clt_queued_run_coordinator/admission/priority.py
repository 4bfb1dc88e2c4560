"""Names of priorities, translated where a run is submitted to the integers that Dagster sorts by."""

from dagster._core.storage.tags import PRIORITY_TAG

from clt_queued_run_coordinator.admission.settings import PRIORITIES


def priority_tag(tags: dict[str, str]) -> dict[str, str]:
    """Return the tag to write for a run whose priority is a name; nothing if it is a number or no name.

    Dagster counts anything else as 0, and so does this queue.
    """
    number = PRIORITIES.get(tags.get(PRIORITY_TAG, "").strip().lower())
    return {} if number is None else {PRIORITY_TAG: str(number)}


def number_of(text: str) -> int:
    """Return the integer that an operator means; raise ValueError for what is neither name nor integer."""
    named = PRIORITIES.get(text.strip().lower())
    return int(text) if named is None else named

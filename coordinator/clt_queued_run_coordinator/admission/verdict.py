"""Whether a run may join the queue, from three counts. Pure."""

import re
from dataclasses import dataclass

from clt_queued_run_coordinator.admission.settings import EVERY_OTHER, UNLIMITED, AdmissionSettings

REFUSED_TAG = "queue/refused"
_LIMIT = re.compile(r"admission\.(\w+)")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Runs: queued on the whole instance, and queued plus active of the user and of the location."""

    queued: int
    of_user: int
    of_location: int


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """Who asks: the run's trusted user and location, and the caps that apply to them; None for none."""

    user: str
    location: str
    queue_cap: int | None
    user_cap: int | None
    location_cap: int | None
    location_key: str


def applicant(settings: AdmissionSettings, *, user: str, location: str) -> Applicant:
    """Return which caps apply to a run of this user and location."""
    return Applicant(
        user=user,
        location=location,
        queue_cap=None if settings.max_queue_size == UNLIMITED else settings.max_queue_size,
        user_cap=settings.user_cap(user),
        location_cap=settings.location_cap(location),
        location_key=location if location in settings.max_runs_per_location else EVERY_OTHER,
    )


def queue_is_full(asking: Applicant, counts: Counts) -> bool:
    """Whether no run of anybody may join."""
    return asking.queue_cap is not None and counts.queued >= asking.queue_cap


def refusal(asking: Applicant, counts: Counts) -> str | None:
    """Return why the run may not join the queue: the limit, its value and what to do; None if it may."""
    if queue_is_full(asking, counts):
        return (
            f"Refused: the queue is full ({counts.queued} runs, admission.max_queue_size {asking.queue_cap})."
            " Submit it again when runs have started, cancel queued runs, or raise the limit."
        )
    if asking.user_cap is not None and counts.of_user >= asking.user_cap:
        return (
            f"Refused: user {asking.user} has {counts.of_user} runs queued and active"
            f" (admission.max_runs_per_user {asking.user_cap}). Submit it again when some of them have ended,"
            " cancel some, or raise the limit."
        )
    if asking.location_cap is not None and counts.of_location >= asking.location_cap:
        return (
            f"Refused: code location {asking.location} has {counts.of_location} runs queued and active"
            f" (admission.max_runs_per_location.{asking.location_key} {asking.location_cap})."
            " Submit it again when some of them have ended, cancel some, or raise the limit."
        )
    return None


def limit_named_in(reason: str) -> str:
    """Return the key of the limit that a refusal names."""
    found = _LIMIT.search(reason)
    return found[1] if found else "other"

"""The keys under `admission:`, with the defaults of the reference, and the names of priorities."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from dagster import Array, Field, IntSource, StringSource

UNLIMITED = -1
EVERY_OTHER = "*"

# Dagster sorts by integers, so a name is translated to one at submit; between two names is room for more.
PRIORITIES: Mapping[str, int] = MappingProxyType(
    {"critical": 20, "high": 10, "normal": 0, "low": -10, "background": -20}
)

# A backfill of 5 000 partitions is no person who fills the queue by mistake; fair sharing deals with it.
AUTOMATION = ("schedule:*", "sensor:*", "backfill:*", "automation")


@dataclass(frozen=True, kw_only=True)
class AdmissionSettings:
    """What a submitted run must pass; a number of -1 switches its rule off.

    `max_queue_size` counts queued runs. `max_runs_per_user` and `max_runs_per_location` count queued plus
    active ones (STARTING, STARTED, CANCELING). `stale_timeout_seconds` is how long a run may wait in the
    queue before it expires.
    """

    max_queue_size: int = 10_000
    max_runs_per_user: int = 100
    uncapped_users: tuple[str, ...] = AUTOMATION
    max_runs_per_location: Mapping[str, int] = field(default_factory=dict)
    stale_timeout_seconds: int = 3_600

    def user_cap(self, user: str) -> int | None:
        """Return the most runs that this user may have queued and active; None if there is no cap."""
        uncapped = any(fnmatchcase(user, pattern) for pattern in self.uncapped_users)
        return None if uncapped or self.max_runs_per_user == UNLIMITED else self.max_runs_per_user

    def location_cap(self, location: str) -> int | None:
        """Return the most runs that this location may have queued and active; None if there is no cap."""
        cap = self.max_runs_per_location.get(location, self.max_runs_per_location.get(EVERY_OTHER))
        return None if cap is None or cap == UNLIMITED else cap


ADMISSION_FIELDS = {
    "max_queue_size": Field(
        IntSource,
        is_required=False,
        default_value=10_000,
        description="How many runs may be queued; -1 for any number.",
    ),
    "max_runs_per_user": Field(
        IntSource,
        is_required=False,
        default_value=100,
        description="How many runs one user may have queued plus active; -1 for any number.",
    ),
    "uncapped_users": Field(
        Array(StringSource),
        is_required=False,
        default_value=list(AUTOMATION),
        description="Patterns of users that max_runs_per_user leaves out; by default all automation.",
    ),
    "max_runs_per_location": Field(
        {str: IntSource},
        is_required=False,
        default_value={},
        description='How many runs a code location may have queued plus active; "*" is every other location.',
    ),
    "stale_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=3_600,
        description="After how many seconds in the queue a run expires (CANCELED); -1 for never.",
    ),
}


def admission_settings(config: Mapping[str, Any]) -> AdmissionSettings:
    """Build the settings from the validated value of `admission:`."""
    values = dict(config)
    if "uncapped_users" in values:
        values["uncapped_users"] = tuple(values["uncapped_users"])
    return AdmissionSettings(**values)


def problems(settings: AdmissionSettings) -> Iterator[str]:
    """Yield a sentence for each value that cannot be used: its key, the value and the fix."""
    numbers = {name: getattr(settings, name) for name in ("max_queue_size", "max_runs_per_user")}
    numbers |= {f"max_runs_per_location.{name}": cap for name, cap in settings.max_runs_per_location.items()}
    for key, value in (numbers | {"stale_timeout_seconds": settings.stale_timeout_seconds}).items():
        if value != UNLIMITED and value < 1:
            yield f"admission.{key}: {value}: write 1 or more, or -1 to switch this rule off"

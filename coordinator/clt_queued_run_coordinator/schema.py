"""The configuration keys: all of `QueuedRunCoordinator`'s, unchanged, and ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from dagster import Field, Float, QueuedRunCoordinator, StringSource

from clt_queued_run_coordinator.admission.settings import (
    ADMISSION_FIELDS,
    AdmissionSettings,
    admission_settings,
)
from clt_queued_run_coordinator.metrics.settings import METRICS_FIELDS, MetricsSettings

DEFAULT_CODE_LOCATION_TAG = "code_location"
DEFAULT_USER_TAG = "user"
DEFAULT_HOST_GROUP_TAG = "host_group"
DEFAULT_TEAM_TAG = "team"


@dataclass(frozen=True, kw_only=True)
class FairSharingSettings:
    """Between runs of equal priority: whose turn it is, by the tag `key`, and how waiting counts."""

    key: str
    weights: Mapping[str, float] = field(default_factory=dict)
    ageing_seconds: float = 0


@dataclass(frozen=True, kw_only=True)
class Extensions:
    """The keys that `QueuedRunCoordinator` does not have, with their defaults."""

    code_location_tag: str = DEFAULT_CODE_LOCATION_TAG
    user_tag: str = DEFAULT_USER_TAG
    user_header: str | None = None
    host_group_tag: str = DEFAULT_HOST_GROUP_TAG
    host_groups: Mapping[str, str] = field(default_factory=dict)
    team_tag: str = DEFAULT_TEAM_TAG
    location_teams: Mapping[str, str] = field(default_factory=dict)
    user_teams: Mapping[str, str] = field(default_factory=dict)
    fair_sharing: FairSharingSettings | None = None
    admission: AdmissionSettings | None = None
    metrics: MetricsSettings | None = None


EXTENSION_KEYS = frozenset(field.name for field in fields(Extensions))

# The values of these keys are read into a type of their own.
_READERS: Mapping[str, Callable[[Mapping[str, Any]], object]] = MappingProxyType(
    {
        "admission": admission_settings,
        "fair_sharing": lambda config: FairSharingSettings(**config),
        "metrics": lambda config: MetricsSettings(**config),
    }
)

EXTENSION_FIELDS = {
    "code_location_tag": Field(
        StringSource,
        is_required=False,
        default_value=DEFAULT_CODE_LOCATION_TAG,
        description="The run tag that carries the code location, taken from the run's remote origin.",
    ),
    "user_tag": Field(
        StringSource,
        is_required=False,
        default_value=DEFAULT_USER_TAG,
        description="The run tag that carries who asked for the run.",
    ),
    "user_header": Field(
        StringSource,
        is_required=False,
        description=(
            "The HTTP header in which the login in front of the web server names the user. Set it only"
            " where that login deletes the header from what clients send. Without it, a run that comes"
            " from the web has the user `anonymous`."
        ),
    ),
    "host_group_tag": Field(
        StringSource,
        is_required=False,
        default_value=DEFAULT_HOST_GROUP_TAG,
        description="The run tag that carries the group of hosts; written where host_groups is set.",
    ),
    "host_groups": Field(
        {str: StringSource},
        is_required=False,
        default_value={},
        description="The group of hosts that each code location runs on.",
    ),
    "team_tag": Field(
        StringSource,
        is_required=False,
        default_value=DEFAULT_TEAM_TAG,
        description="The run tag that carries the team; written where a map of teams is set.",
    ),
    "location_teams": Field(
        {str: StringSource},
        is_required=False,
        default_value={},
        description="The team that each code location belongs to.",
    ),
    "user_teams": Field(
        {str: StringSource},
        is_required=False,
        default_value={},
        description="The team that each user belongs to; it goes before the location's team.",
    ),
    "fair_sharing": Field(
        {
            "key": Field(
                StringSource,
                description="The tag whose values share: code_location, user or any other.",
            ),
            "weights": Field(
                {str: Float},
                is_required=False,
                default_value={},
                description="How much a value gets against others; 1 where none is given.",
            ),
            "ageing_seconds": Field(
                Float,
                is_required=False,
                default_value=0.0,
                description="A waiting run gains one priority for each of these; 0 switches that off.",
            ),
        },
        is_required=False,
        description=(
            "Between runs of equal priority, the value with the fewest active runs for its weight goes"
            " first. Absent: first in, first out, as in Dagster."
        ),
    ),
    "admission": Field(
        ADMISSION_FIELDS,
        is_required=False,
        description="What a run must pass to be queued. Absent: every run is queued, as in Dagster.",
    ),
    "metrics": Field(
        METRICS_FIELDS,
        is_required=False,
        description="Where the queue daemon serves Prometheus metrics. Absent: nowhere.",
    ),
}


def config_schema() -> dict[str, Any]:
    """Return the whole schema: the base class's keys as this Dagster has them, then ours."""
    base = QueuedRunCoordinator.config_type()
    if not isinstance(base, Mapping):
        raise TypeError(f"QueuedRunCoordinator.config_type() is a {type(base).__name__}, not a mapping")
    return {**base, **EXTENSION_FIELDS}


def split(config: Mapping[str, Any]) -> tuple[dict[str, Any], Extensions]:
    """Part a validated configuration into the base class's keyword arguments and our extensions."""
    ours: dict[str, Any] = {
        key: _READERS[key](value) if key in _READERS else value
        for key, value in config.items()
        if key in EXTENSION_KEYS
    }
    base = {key: value for key, value in config.items() if key not in EXTENSION_KEYS}
    return base, Extensions(**ours)

"""The configuration keys: all of `QueuedRunCoordinator`'s, unchanged, and ours."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dagster import Field, QueuedRunCoordinator, StringSource

DEFAULT_CODE_LOCATION_TAG = "code_location"
DEFAULT_USER_TAG = "user"


@dataclass(frozen=True, kw_only=True)
class Extensions:
    """The keys that `QueuedRunCoordinator` does not have, with their defaults."""

    code_location_tag: str = DEFAULT_CODE_LOCATION_TAG
    user_tag: str = DEFAULT_USER_TAG
    user_header: str | None = None


EXTENSION_KEYS = frozenset(field.name for field in fields(Extensions))

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
}


def config_schema() -> dict[str, Any]:
    """Return the whole schema: the base class's keys as this Dagster has them, then ours."""
    base = QueuedRunCoordinator.config_type()
    if not isinstance(base, Mapping):
        raise TypeError(f"QueuedRunCoordinator.config_type() is a {type(base).__name__}, not a mapping")
    return {**base, **EXTENSION_FIELDS}


def split(config: Mapping[str, Any]) -> tuple[dict[str, Any], Extensions]:
    """Part a validated configuration into the base class's keyword arguments and our extensions."""
    ours = {key: value for key, value in config.items() if key in EXTENSION_KEYS}
    base = {key: value for key, value in config.items() if key not in EXTENSION_KEYS}
    return base, Extensions(**ours)

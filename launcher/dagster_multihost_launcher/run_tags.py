"""What a run may ask for with its tags, held to the configuration's allow-list."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from docker.types import DeviceRequest

from dagster_multihost_launcher import kwargs, schema
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import RunTags, size

PREFIX = "multihost/"
# Written by a queue daemon in which somebody paused hosts; it only narrows, so no rule is needed for it.
AVOID_TAG = PREFIX + "avoid_hosts"
_SMALLEST_MEMORY = 6 * 2**20  # dockerd refuses less
_NANO = 1_000_000_000
_TYPO = 0.8


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a run's tags say about its host and its container."""

    host: str | None = None
    avoid: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    container_kwargs: Mapping[str, Any] = field(default_factory=dict)


def read(tags: Mapping[str, str], rules: RunTags) -> Wish:
    """Return what the tags ask for; of one argument asked for twice, the tag of its own wins.

    Raises:
        LaunchError: a tag is not allowed, or its value means nothing; names the tag, the value and the fix.
    """
    wanted = {name: tags[PREFIX + name].strip() for name in schema.RUN_TAGS if PREFIX + name in tags}
    _refuse_typos(tags)
    for name in wanted.keys() - rules.allowed:
        raise LaunchError(
            f"The run's tag {PREFIX}{name} is not allowed here. Remove it from the run, or add {name} to"
            " run_tags.allowed of the run launcher."
        )
    return Wish(
        host=wanted.get("host") or None,
        avoid=frozenset(filter(None, map(str.strip, tags.get(AVOID_TAG, "").split(",")))),
        labels=_labels(wanted.get("labels", "")),
        container_kwargs={
            **_json(wanted.get("container_kwargs", ""), rules),
            **_arguments(wanted),
        },
    )


def _arguments(wanted: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (argument, convert, example) in _CONVERSIONS.items():
        if name not in wanted:
            continue
        try:
            found[argument] = convert(wanted[name])
        except ValueError as error:
            raise _wrong(name, wanted[name], example) from error
    return found


def _memory(text: str) -> int:
    number = size(text)
    if number < _SMALLEST_MEMORY:
        raise ValueError(text)
    return number


def _shared_memory(text: str) -> int:
    number = size(text)
    if number < 1:
        raise ValueError(text)
    return number


def _nano_cpus(text: str) -> int:
    number = float(text)
    if not 0.01 <= number < 10_000:  # dockerd's smallest, and no machine's largest; also refuses nan
        raise ValueError(text)
    return round(number * _NANO)


def _gpus(text: str) -> list[DeviceRequest]:
    count = -1 if text == "all" else int(text)
    if count == 0 or count < -1:
        raise ValueError(text)
    return [DeviceRequest(count=count, capabilities=[["gpu"]])]


def _user(text: str) -> str:
    if not text or text != text.strip() or " " in text:
        raise ValueError(text)
    return text


def _seconds(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


_CONVERSIONS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "memory": ("mem_limit", _memory, "512m or 4g, at least 6m"),
    "cpus": ("nano_cpus", _nano_cpus, "1.5, at least 0.01"),
    "gpus": ("device_requests", _gpus, "1 or all"),
    "shm_size": ("shm_size", _shared_memory, "1g"),
    "user": ("user", _user, "1000, 1000:1000 or a name of the image"),
    "stop_timeout": ("stop_timeout", _seconds, "120, in seconds"),
}


def _labels(text: str) -> dict[str, str]:
    labels = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        if not name or not given:
            raise _wrong("labels", text, "gpu=true,zone=a")
        labels[name] = value
    return labels


def _json(text: str, rules: RunTags) -> dict[str, Any]:
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        raise _wrong("container_kwargs", text, '{"pids_limit": 100}, a JSON object') from error
    if not isinstance(given, dict):
        raise _wrong("container_kwargs", text, '{"pids_limit": 100}, a JSON object')
    return within(f"The run's tag {PREFIX}container_kwargs", given, rules)


def within(where: str, given: Mapping[str, Any], rules: RunTags) -> dict[str, Any]:
    """Return the arguments if every one is on the allow-list and makes sense; raise `LaunchError` else.

    Names are compared exactly, and none of the arguments on the list can carry keys of Docker's API in its
    value: `Privileged`, or `hostconfig` in any spelling, is just an unknown name.
    """
    refused = sorted(given.keys() - rules.container_kwargs)
    if refused:
        raise LaunchError(
            f"{where} may not set {', '.join(refused)}. Set it in container_kwargs of the location in the run"
            " launcher's configuration, or add a harmless one to run_tags.container_kwargs there."
        )
    wrong = list(kwargs.problems(where, given))
    if wrong:
        raise LaunchError("; ".join(wrong))
    return dict(given)


def _refuse_typos(tags: Mapping[str, str]) -> None:
    for tag in tags:
        name = tag.removeprefix(PREFIX)
        if name == tag or name in schema.RUN_TAGS or tag == AVOID_TAG:
            continue
        close = get_close_matches(name, schema.RUN_TAGS, n=1, cutoff=_TYPO)
        if close:
            raise LaunchError(f"The run's tag {tag} means nothing. Did you mean {PREFIX}{close[0]}?")


def _wrong(name: str, value: str, example: str) -> LaunchError:
    return LaunchError(f"The run's tag {PREFIX}{name} is {value!r}. Write for instance {example}.")

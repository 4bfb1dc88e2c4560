"""What ansible-playbook reports while it works, as values; the callback dagfleet_json.py prints them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a task ended on a host."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    IGNORED = "ignored"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class PlayStarted:
    """A play begins."""

    name: str


@dataclass(frozen=True)
class TaskStarted:
    """A task begins, on all hosts of its play."""

    name: str


@dataclass(frozen=True)
class HostStarted:
    """A task begins on one host."""

    host: str
    task: str


@dataclass(frozen=True)
class TaskEnded:
    """A task's result on one host. `hidden`: `no_log` kept its content back."""

    host: str
    task: str
    status: Status
    hidden: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """The playbook is done; per host, Ansible's own counts."""

    hosts: Mapping[str, Mapping[str, int]]


Event = PlayStarted | TaskStarted | HostStarted | TaskEnded | Ended


def event(line: str) -> Event | None:
    """Return the event in a line of output, or None when it is something else (a plugin that prints)."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    read = _READERS.get(str(value.get("event")))
    return read(value) if read else None


def plain(task: str) -> str:
    """Return a task's name with its role in front: `mesh: Install HAProxy`."""
    role, separator, name = task.partition(" : ")
    return f"{role}: {name}" if separator else task


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "play": lambda value: PlayStarted(value["name"]),
    "task": lambda value: TaskStarted(plain(value["name"])),
    "start": lambda value: HostStarted(value["host"], plain(value["task"])),
    "result": lambda value: TaskEnded(
        host=value["host"],
        task=plain(value["task"]),
        status=Status(value["status"]),
        hidden=value["hidden"],
        facts=value["facts"],
        error=value["error"],
        diff=tuple(value["diff"]),
    ),
    "stats": lambda value: Ended(value["hosts"]),
}

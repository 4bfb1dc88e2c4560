"""Ansible stdout callback that prints one JSON object per event and line, for dagfleet.runner to read."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: dagfleet_json
type: stdout
short_description: One JSON object per event and line
description:
  - Prints plays, task starts, results per host and the final statistics as JSON lines, as they happen.
  - A result that C(no_log) hides keeps its status only.
"""

TAIL_CHARACTERS = 4000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Well within the lock's lease.
_STOP_SECONDS = 5
_KEPT = ("msg", "stderr", "stdout", "module_stderr", "module_stdout", "rc", "cmd", "reason")


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no types
    """Writes events to stdout; dagfleet.runner.events has their Python side."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "dagfleet_json"

    def __init__(self) -> None:
        super().__init__()
        if operator := os.environ.get("DAGFLEET_OPERATOR"):
            _end_with(int(operator))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._emit("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        del is_conditional
        self._emit("task", name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """A handler begins."""
        self._emit("task", name=task.get_name())

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on one host."""
        self._emit("start", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._result("changed" if result.is_changed() else "ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task did not apply."""
        self._result("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The playbook is over."""
        self._emit("stats", hosts={host: stats.summarize(host) for host in stats.processed})

    def _result(self, status: str, result: Any) -> None:
        hidden = bool(result.task.no_log) or "censored" in result.result
        self._emit(
            "result",
            host=result.host.get_name(),
            task=result.task.get_name(),
            status=status,
            hidden=hidden,
            facts={} if hidden else _facts(result.result),
            error="" if hidden or not result.exception else _innermost(result.exception.event),
            diff=[] if hidden else self._diffs(result.result),
        )

    def _diffs(self, result: Mapping[str, Any]) -> list[str]:
        texts = []
        for part in _parts(result):
            if diff := part.get("diff"):
                text = self._get_diff(_by_name_on_host(diff))
                if text and text.strip():
                    texts.append(text[-TAIL_CHARACTERS * 4 :])
        return texts

    def _emit(self, event: str, **values: Any) -> None:
        self._display.display(json.dumps({"event": event, **values}, default=str))


def _end_with(operator: int) -> None:
    """Have this process end as by Ctrl-C when its parent, the operator's, is killed.

    The lock's lease is over in seconds; a task that somebody else's apply would meet may take minutes. Where
    the kernel does not tell, Ansible ends when it has nobody to tell of the task's end.
    """
    if sys.platform == "linux":
        signal.signal(signal.SIGHUP, _interrupt)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != operator:
        sys.exit("dagfleet is gone")


def _interrupt(*_: object) -> None:
    """Interrupt what goes on; Python drops that while it tidies an object up, so an end follows."""
    signal.signal(signal.SIGALRM, _kill)
    signal.alarm(_STOP_SECONDS)
    raise KeyboardInterrupt


def _kill(*_: object) -> None:
    """End this process and its workers, which the operator put into a group of their own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _by_name_on_host(diff: Any) -> list[Any]:
    """Return the parts of a diff with the file's own name on both sides, not that of a copy made here."""
    return [
        {**part, "after_header": part["before_header"]}
        if isinstance(part, Mapping) and part.get("before_header") and part.get("after_header")
        else part
        for part in (diff if isinstance(diff, list) else [diff])
    ]


def _innermost(event: Any) -> str:
    """Return what the lowest cause said; those above it mostly say that something below them failed."""
    while event.chain is not None:
        event = event.chain.event
    return str(event.msg)


def _parts(result: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    items = result.get("results")
    if isinstance(items, list) and items:
        return [item for item in items if isinstance(item, Mapping) and "censored" not in item]
    return [result]


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a person about the result; of a loop, the first item that failed."""
    parts = list(_parts(result))
    telling = next((part for part in parts if part.get("failed") or part.get("unreachable")), result)
    facts: dict[str, Any] = {}
    for key in _KEPT:
        value = telling.get(key)
        if value not in (None, "", []):
            facts[key] = value[-TAIL_CHARACTERS:] if isinstance(value, str | list) else value
    if telling is not result and "item" in telling:
        facts["item"] = str(telling.get("_ansible_item_label", telling["item"]))[:200]
    return facts

"""Why a task failed, in one sentence and the few lines that matter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagfleet.runner.events import Status, TaskEnded

LINES = 8
_NOISE = re.compile(
    r"^(non-zero return code|MODULE FAILURE|One or more items failed|All items completed"
    r"|Task failed(: (Module|Action) failed)?\.?$|Error executing command\.$|See stdout/stderr.*)",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(Task failed: )?(Finalization of task args for '[^']+' failed: )?"
    r"(Error while resolving value for '[^']+': )?"
)
_BLAME = re.compile(
    r"error|fail|cannot|could not|denied|refused|no such|not found|unable|invalid", re.IGNORECASE
)
_CARETS = re.compile(r"^[\s^~.|+-]*$")


@dataclass(frozen=True)
class Failure:
    """What stopped a host: the task, the reason in one sentence, the last lines that matter."""

    host: str
    task: str
    sentence: str
    lines: tuple[str, ...] = ()
    unreachable: bool = False


def failure(ended: TaskEnded) -> Failure:
    """Return the failure a failed or unreachable result describes."""
    unreachable = ended.status is Status.UNREACHABLE
    if ended.hidden:
        return Failure(
            ended.host, ended.task, "its output is hidden because it handles secrets", (), unreachable
        )
    sentence, lines = _explain(ended.facts, ended.error)
    if item := ended.facts.get("item"):
        sentence = f"{item}: {sentence}"
    return Failure(ended.host, ended.task, sentence, lines, unreachable)


def _explain(facts: Mapping[str, Any], error: str) -> tuple[str, tuple[str, ...]]:
    """Return the sentence and the lines; a module's own message first, then what its command printed."""
    printed = _printed(facts)
    message = _message(facts, error)
    if message:
        head, *rest = message
        return head, tuple(rest[-LINES:] or [line for line in printed[-LINES:] if line.strip() != head])
    if printed:
        telling = next((line for line in reversed(printed) if _BLAME.search(line)), printed[-1])
        status = f" (exit {facts['rc']})" if facts.get("rc") else ""
        return telling.strip() + status, tuple(line for line in printed[-LINES:] if line != telling)
    if facts.get("rc"):
        return f"its command ended with exit code {facts['rc']} and said nothing", ()
    return "it gave no reason", ()


def _message(facts: Mapping[str, Any], error: str) -> list[str]:
    for source in (facts.get("msg"), facts.get("reason"), error):
        text = "\n".join(map(str, source)) if isinstance(source, list) else str(source or "")
        lines = _lines(text)
        while lines and _NOISE.match(lines[0].strip()):
            lines = lines[1:]
        if lines:
            return [_PREAMBLE.sub("", lines[0].strip()), *lines[1:]]
    return []


def _printed(facts: Mapping[str, Any]) -> list[str]:
    for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
        if lines := _lines(str(facts.get(key) or "")):
            return lines
    return []


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip() and not _CARETS.match(line)]

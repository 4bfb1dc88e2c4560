"""A plan, as people read it and as JSON."""

import json

from dagfleet.cli.terminal import Terminal
from dagfleet.phases.planning import Plan

MOST_LINES = 40
MARKS = {"+": "green", "~": "yellow", "?": "red", "-": "red"}


def print_plan(plan: Plan, terminal: Terminal, *, diffs: bool) -> None:
    """Print each host's changes with their diffs, then the totals and the next command."""
    width = max((len(host.host) for host in plan.hosts), default=0)
    for host in plan.hosts:
        name = host.host
        for line in host.lines():
            terminal.say(f"  {name:<{width}}  {terminal.paint(line, fg=MARKS[line[0]])}")
            name = ""
            if diffs:
                change = next((change for change in host.changes if line == f"~ {change.task}"), None)
                for diff in change.diff if change else ():
                    _print_diff(diff, terminal, indent=width + 6)
    terminal.say(f"{plan.summary()}. Nothing was touched.")
    if plan.pending:
        terminal.say("Apply with: dagfleet apply")


def print_json(plan: Plan, terminal: Terminal) -> None:
    """Print the same facts as JSON."""
    terminal.say(json.dumps({
        "pending": plan.pending,
        "summary": plan.summary(),
        "hosts": {
            host.host: {
                "new": host.new,
                "parts": list(host.parts),
                "certificates": [{"name": due.spec.name, "reason": due.reason} for due in host.certificates],
                "images": list(host.images),
                "changes": [{"task": change.task, "diff": list(change.diff)} for change in host.changes],
                "unknown": host.unknown and {"task": host.unknown.task, "reason": host.unknown.sentence},
            }
            for host in plan.hosts
        },
    }, indent=2))  # fmt: skip


def _print_diff(diff: str, terminal: Terminal, *, indent: int) -> None:
    lines = [line.rstrip() for line in diff.splitlines() if line.strip()]
    for line in lines[:MOST_LINES]:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        terminal.say(f"{'':{indent}}{terminal.paint(line, fg=colour, dim=colour is None)}")
    if len(lines) > MOST_LINES:
        terminal.say(f"{'':{indent}}... {len(lines) - MOST_LINES} more lines: dagfleet plan --json")

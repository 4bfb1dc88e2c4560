"""In which order a backup is put back, and what happens when it cannot be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.phases import restoring
from dagfleet.phases.restoring import Look, Restore, Source
from dagfleet.phases.work import Work

from tests.unit.phases.conftest import Heard

NAME = "prod-20261122T031500Z.tar"
TOLD = {"rows": 12, "tables": 3, "runs": 2}


class Control:
    """A control host that notes what it is told to do. The real one: tests/e2e/test_backup.py."""

    def __init__(self, running: str = "dagfleet-daemon\ndagfleet-web\n") -> None:
        self.did: list[str] = []
        self.running = running
        self.possible = True
        self.there = 0
        self.refusal: DagfleetError | None = None

    def runs(self) -> int:
        return self.there

    def all(self) -> list[Any]:
        return []

    def bring(self, file: Path) -> None:
        self.did.append(f"bring {file.name}")

    def ask(self, *arguments: str, stdin: bytes = b"") -> dict[str, int]:
        self.did.append(" ".join(arguments) + (" with a key" if stdin else ""))
        if self.refusal:
            raise self.refusal
        return TOLD

    def at(self, _work: Work, script: str, *, stdin: str | None = None) -> str:
        if script == restoring._RUNNING:
            return self.running
        words = ["stop", "start pgbouncer", "docker start", "instance migrate", "--interactive"]
        self.did.append(next(word for word in reversed(words) if word in script) + " " + script.split()[-2])
        return json.dumps({"failed": 1, "canceled": 2}) if stdin and "end_lost_runs" in stdin else ""


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Control:
    control = Control()
    monkeypatch.setattr(restoring, "backups_of", lambda _file: control)
    monkeypatch.setattr(restoring, "at_control", control.at)
    end: Callable[..., tuple[int, list[str]]] = lambda _file, _hosts: (4, ["delta"])  # noqa: E731
    monkeypatch.setattr(restoring, "end_runs_on", end)
    return control


def test_the_daemon_starts_last_after_lost_runs_have_ended(
    work: Work, control: Control, heard: Heard
) -> None:
    Restore(Source(name=NAME, file=Path(NAME), identity="AGE-SECRET-KEY-1", force=True)).run(work)
    steps = [each.rpartition(" ")[0] or each for each in control.did]
    assert steps == [
        "bring", "stop", f"restore {NAME} --identity --force with a", "docker start", "instance migrate",
        "--interactive", "docker start",
    ]  # fmt: skip
    assert "restore: control plane stopped, 4 run containers ended" in heard.lines
    assert "restore: delta did not answer: runs there may go on" in heard.lines
    assert any("1 were in progress and failed, 2 waited and were canceled" in line for line in heard.lines)
    assert work.changes == {"alpha": 1}, "the history tells of it"


def test_what_ran_runs_again_when_the_backup_is_refused(work: Work, control: Control) -> None:
    control.refusal = DagfleetError("alpha: it is damaged")
    with pytest.raises(DagfleetError, match="it is damaged") as told:
        Restore(Source(name=NAME)).run(work)
    assert told.value.__notes__ == ["The database is as it was."]
    assert control.did[-1].startswith("docker start dagfleet-web")
    assert not work.changes


def test_nothing_is_started_that_did_not_run_before(work: Work, control: Control) -> None:
    control.running, control.refusal = "", UnreachableError("alpha is gone")
    with pytest.raises(UnreachableError):
        Restore(Source(name=NAME)).run(work)
    assert not [each for each in control.did if each.startswith("docker start")]


def test_runs_are_not_lost_by_accident(work: Work, control: Control, heard: Heard) -> None:
    control.there = 7
    with pytest.raises(DagfleetError, match="alpha's database has 7 runs already"):
        Look(Source(name=NAME, file=Path(NAME))).run(work)
    assert not work.touched
    Look(Source(name=NAME, file=Path(NAME), force=True)).run(work)
    assert heard.lines == [f"backup: {NAME}, in the place of 7 runs"]


def test_a_name_that_is_nowhere_is_refused_at_once_on_an_empty_host_too(work: Work, control: Control) -> None:
    for control.possible in (True, False):
        with pytest.raises(DagfleetError, match="is neither a file here nor a backup on alpha"):
            Look(Source(name=NAME)).run(work)
    assert not work.touched

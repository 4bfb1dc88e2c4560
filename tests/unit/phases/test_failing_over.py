"""In which order a standby takes over, and what a failover that was killed does the second time."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagfleet.cli.failover import Takeover, lost_since_backup, lost_since_copy
from dagfleet.cli.settings import Settings
from dagfleet.cli.working import working
from dagfleet.control.backups import Backup, Backups
from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.fleet.comings import taking_over
from dagfleet.phases import failing_over
from dagfleet.phases.failing_over import Begin, Finish, LeaveBehind, Promote, TakeOver
from dagfleet.phases.failover_journal import Journal
from dagfleet.phases.phase import HostsStoppedError, run
from dagfleet.phases.restoring import Restore, Source
from dagfleet.phases.work import Work
from dagfleet.probe.connection import Answer
from dagfleet.probe.survey import Survey
from dagfleet.probe.target import Target, target

from tests.unit.phases.conftest import FLEET, Heard
from tests.unit.probe.reports import engine, report

JOURNAL = Journal(old="alpha", new="beta", backup="prod-20261122T031500Z.tar", begun=True)


@dataclass
class Hosts:
    """Hosts that note what they are told. The real ones: tests/e2e/test_failover.py."""

    told: list[str] = field(default_factory=list)
    answer: Answer | UnreachableError = field(default_factory=lambda: Answer(ok=True, stdout="", stderr=""))

    def on_each(self, targets: list[Target], question: Any) -> dict[str, Any]:
        self.told += [f"{each.name} fence" for each in targets]
        assert question
        return {each.name: self.answer for each in targets}

    def end_runs(self, _file: FleetFile, names: list[str]) -> tuple[int, list[str]]:
        self.told += [f"{name} runs" for name in names]
        return 2, []

    def at_control(self, work: Work, script: str) -> str:
        self.told.append(f"{work.fleet.control.host} {'promoted' if 'pg_promote' in script else script}")
        return ""


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    hosts = Hosts()
    monkeypatch.setattr(failing_over, "on_each", hosts.on_each)
    monkeypatch.setattr(failing_over, "end_runs_on", hosts.end_runs)
    monkeypatch.setattr(failing_over, "at_control", hosts.at_control)
    return hosts


@pytest.fixture
def doubled(tmp_path: Path) -> FleetFile:
    path = tmp_path / "fleet.yml"
    text = FLEET.replace("host: alpha, ", "host: alpha, standby: beta, ")
    path.write_text(text + 'backup: {schedule: "03:15"}\n')
    (tmp_path / "reporting").mkdir(exist_ok=True)
    return load_fleet(path)


def takeover(doubled: FleetFile, **changes: Any) -> Takeover:
    text = doubled.path.read_text()
    changed, after = taking_over(doubled, text)
    plan = Takeover(
        before=text,
        changed=changed,
        after=after,
        journal=JOURNAL,
        file=None,
        key="",
        answers=False,
        silent={},
    )
    return replace(plan, **changes)


def order(plan: Takeover) -> list[str]:
    return [type(phase).__name__ for phase in plan.phases()]


def test_the_old_host_is_refused_first_and_a_backup_comes_when_hosts_are_ready(
    doubled: FleetFile,
) -> None:
    assert order(takeover(doubled)) == [
        "Lock", "Admit", "Check", "LeaveBehind", "Begin", "RevokeHost", "WriteFleet", "Certificates", "Hosts",
        "Images", "Services", "TakeOver", "Record", "Verify", "Rehearse", "EndConnections", "EndRuns",
        "Finish", "Done",
    ]  # fmt: skip


def test_a_copy_of_the_database_is_opened_at_once_because_runs_wait_for_it(doubled: FleetFile) -> None:
    phases = order(takeover(doubled, journal=replace(JOURNAL, backup="", streams=True)))
    assert phases[5:9] == ["RevokeHost", "WriteFleet", "Promote", "Certificates"]
    assert "TakeOver" not in phases


def test_a_failover_that_goes_on_does_not_write_the_file_again(doubled: FleetFile) -> None:
    plan = takeover(doubled)
    assert "WriteFleet" not in order(replace(plan, before=plan.changed))


def test_every_other_command_waits_for_a_failover_that_is_half_way(doubled: FleetFile) -> None:
    JOURNAL.write(doubled)
    with (
        pytest.raises(ConfigurationError, match="a failover from alpha to beta is half-way") as told,
        working(Settings(), doubled, ["beta"], log="apply"),
    ):
        pass
    assert told.value.fix == "the same command finishes it: dagfleet failover"
    assert Journal.read(doubled) == JOURNAL
    Journal.remove(doubled)
    assert Journal.read(doubled) is None


def test_it_is_noted_before_the_first_host_is_touched_and_a_silent_one_is_not_asked(
    work: Work, hosts: Hosts
) -> None:
    Begin(journal=JOURNAL, old=target(work.fleet_file, "alpha"), answers=False).run(work)
    assert Journal.read(work.fleet_file) == JOURNAL
    assert hosts.told == []


def test_a_control_host_that_answers_is_ended_with_its_runs(work: Work, hosts: Hosts, heard: Heard) -> None:
    Begin(journal=JOURNAL, old=target(work.fleet_file, "alpha"), answers=True).run(work)
    assert hosts.told == ["alpha fence", "alpha runs"]
    assert heard.lines == ["failover: alpha is the control host no more, 2 run containers ended there"]


def test_one_that_cannot_be_ended_is_to_be_switched_off(work: Work, hosts: Hosts) -> None:
    hosts.answer = Answer(ok=False, stdout="", stderr="no such file")
    with pytest.raises(DagfleetError, match="alpha does not end its control plane: no such file") as told:
        Begin(journal=JOURNAL, old=target(work.fleet_file, "alpha"), answers=True).run(work)
    assert "switch alpha off" in str(told.value.fix)


def test_a_host_that_does_not_answer_holds_nobody_up_and_is_told_of_at_the_end(work: Work) -> None:
    work.hosts = ["alpha", "beta"]
    silent = {"delta": UnreachableError("delta (10.0.1.4:22) cannot be reached: no answer")}
    Journal(old="gone", new="alpha").write(work.fleet_file)
    with pytest.raises(HostsStoppedError) as told:
        run(work, [LeaveBehind(silent), Finish(Journal(old="gone", new="alpha"))])
    assert told.value.exit_code == 5
    assert 'delta stopped at "connect"' in told.value.message
    assert "then dagfleet apply finishes the job" in str(told.value.fix)
    assert Journal.read(work.fleet_file) is None, "what is left, an apply does"


def test_what_the_new_control_host_has_is_never_replaced_by_the_backup_again(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored: list[str] = []
    monkeypatch.setattr(Restore, "run", lambda self, _work: restored.append(self.source.name))
    restore = Restore(Source(name=JOURNAL.backup))
    JOURNAL.write(work.fleet_file)
    TakeOver(JOURNAL, restore).run(work)
    noted = Journal.read(work.fleet_file)
    assert noted == replace(JOURNAL, moved=True)
    TakeOver(noted, restore).run(work)
    assert restored == [JOURNAL.backup]


def test_a_standby_that_could_not_be_prepared_takes_nothing_over(work: Work, hosts: Hosts) -> None:
    assert hosts
    LeaveBehind({"alpha": UnreachableError("alpha is gone")}).run(work)
    with pytest.raises(DagfleetError, match="beta could not be made the control host"):
        TakeOver(JOURNAL, Restore(Source(name=JOURNAL.backup))).run(work)


def test_a_copy_is_promoted_and_noted(work: Work, hosts: Hosts) -> None:
    JOURNAL.write(work.fleet_file)
    Promote(JOURNAL).run(work)
    assert hosts.told == ["alpha promoted"]
    noted = Journal.read(work.fleet_file)
    assert noted
    assert noted.moved


def test_it_says_before_how_old_the_backup_is_and_which_runs_end() -> None:
    made = datetime.now(UTC) - timedelta(hours=5, minutes=12)
    backup = Backup(JOURNAL.backup, made.isoformat(), 1, encrypted=False)
    containers = {"dagster-run-1f0c9a2e-1": (), "dagfleet-location-etl": ()}
    found = Survey(
        reports={"beta": report(engine=engine(containers=containers)), "delta": report()}, unreachable={}
    )
    lost = lost_since_backup(backup, found)
    assert lost.source == JOURNAL.backup
    assert "in the last 5 h 12 min" in lost.data
    assert lost.runs.startswith("1 run container (1 on beta) and every run that was in flight")


def test_it_says_up_to_which_moment_a_copy_has_come(
    doubled: FleetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"recovering": True, "last": "2026-11-22T08:10:11+00:00"}
    monkeypatch.setattr(Backups, "ask", lambda _self, *_words: told)
    moment = datetime.fromisoformat(told["last"]).astimezone()
    lost = lost_since_copy(doubled, Journal(old="alpha", new="beta"))
    assert f"what alpha wrote after {moment:%Y-%m-%d %H:%M:%S}" in lost.data


def test_a_database_that_follows_none_takes_over_only_if_a_failover_has_promoted_it(
    doubled: FleetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backups, "ask", lambda _self, *_words: {"recovering": False, "last": None})
    with pytest.raises(DagfleetError, match="PostgreSQL on beta follows no other"):
        lost_since_copy(doubled, Journal(old="alpha", new="beta"))
    assert lost_since_copy(doubled, replace(JOURNAL, streams=True)).source == "its copy of PostgreSQL"

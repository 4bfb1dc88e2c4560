"""The steps of an upgrade, their journal, and the way back. The real ones: tests/e2e/test_upgrade.py."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.fleet.comings import with_other_dagster
from dagfleet.phases import journal, taking_back, upgrading
from dagfleet.phases.journal import Journal
from dagfleet.phases.phase import UndoneError, run
from dagfleet.phases.restoring import STARTED, Restore
from dagfleet.phases.upgrading import STEPS, WANTED, Close, Upgrade, begun
from dagfleet.phases.work import Work
from dagfleet.phases.writing import WriteFleet
from dagfleet.probe.history import Release
from dagfleet.runner.reason import Failure

from tests.unit.phases.conftest import FLEET, Heard

OLD, NEW, BACKUP = "1.12.22", "1.13.27", "prod-20261122T031500Z.tar"
# What an undisturbed upgrade does, in order; "-" is the journal being written before it.
DONE = [
    "- backup", "create", f"verify {BACKUP}",
    "- stop", "docker stop",
    "- migrate", "play backup,control_plane on alpha of fleet.upgrade.yml, not started",
    "- control plane", "play backup,control_plane on alpha of fleet.upgrade.yml",
    "- code servers", "play all on alpha,beta,delta of fleet.upgrade.yml", f"verify {NEW}", f"rehearse {NEW}",
    "- file", "- apply",
]  # fmt: skip
IMAGES_BACK = f"play all on alpha,beta,delta of {OLD}"
DATABASE_BACK = [
    "- database back", "halt", f"restore {BACKUP} --force", "start pgbouncer",
    "- images back", f"{IMAGES_BACK}, not started", "wake", f"verify {OLD}",
]  # fmt: skip


class Killed(BaseException):
    """What the kernel does: nobody catches it."""


@dataclass
class World:
    """A control host that remembers what was done there, and fails or kills where it is told to."""

    did: list[str] = field(default_factory=list)
    journal: str = ""
    releases: list[str] = field(default_factory=list)
    raises: dict[str, BaseException] = field(default_factory=dict)
    stops: dict[str, Failure] = field(default_factory=dict)

    def note(self, what: str) -> None:
        self.did.append(what)
        for words, error in self.raises.items():
            if f"{what} ".startswith(f"{words} "):
                raise error

    def at(self, _work: Work, script: str, *, stdin: str | None = None) -> str:
        if stdin is not None:
            self.journal = stdin
            self.note(f"- {json.loads(stdin)['step']}")
        elif script.startswith("rm"):
            self.journal = ""
        elif script.startswith("docker stop"):
            self.note("docker stop")
        else:
            self.releases.append(script)
        return ""

    def ask(self, command: str, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
        self.note(" ".join([command, *arguments]) + (" with a key" if stdin else ""))
        return {"name": BACKUP, "runs": 10_000, "rows": 50_000, "tables": 20}

    def play(
        self, work: Work, _label: str, _name: str, *, hosts: Sequence[str], tags: Sequence[str] = (),
        quiet: bool, variables: Mapping[str, object], inventory: Path | None = None,
    ) -> None:  # fmt: skip
        assert quiet
        file = inventory.name if inventory else work.fleet.dagster.version
        if inventory:
            assert f'"{NEW}"' in inventory.read_text()
        started = "" if variables[STARTED] else ", not started"
        what = f"play {','.join(tags) or 'all'} on {','.join(hosts)} of {file}{started}"
        self.note(what)
        for words, failure in self.stops.items():
            if what == words:
                work.stopped[failure.host] = failure


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    for module in (journal, upgrading, taking_back):
        monkeypatch.setattr(module, "at_control", world.at)
    for module in (upgrading, taking_back):
        monkeypatch.setattr(module, "backups_of", lambda _file: world)
        monkeypatch.setattr(module, "play", world.play)
    for name in ("Verify", "Rehearse"):
        act = lambda _self, work, name=name: world.note(f"{name.lower()} {work.fleet.dagster.version}")  # noqa: E731
        monkeypatch.setattr(getattr(upgrading, name), "run", act)
    monkeypatch.setattr(Restore, "halt", lambda _self, _work: world.note("halt"))
    monkeypatch.setattr(Restore, "wake", lambda _self, _work: world.note("wake"))
    monkeypatch.setattr(taking_back, "start", lambda _work, _containers: world.note("start pgbouncer"))
    monkeypatch.setattr(taking_back, "releases", lambda _control: [])
    return world


@pytest.fixture
def fleet_file(tmp_path: Path) -> FleetFile:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.replace(NEW, OLD))
    (tmp_path / "reporting").mkdir()
    return load_fleet(path)


def upgrade(path: Path, known: str = "", *, identity: str = "") -> Upgrade:
    """The phase as the command line makes it, from what lies on disk and on the control host."""
    fleet_file = load_fleet(path)
    entry = begun(
        fleet_file.fleet, journal.parsed(known, "alpha"), NEW, {"etl": "etl:2"} if not known else {}, None
    )
    text, wanted = with_other_dagster(
        fleet_file, NEW, images=entry.images, control_image=entry.control_image, beside=WANTED
    )
    write = WriteFleet(before=path.read_text(), after=text, what="another Dagster")
    return Upgrade(journal=entry, wanted=wanted, text=text, write=write, identity=identity)


def again(work: Work, world: World) -> Upgrade:
    """The same command once more, in a process of its own."""
    work.fleet_file = load_fleet(work.fleet_file.path.with_name("fleet.yml"))
    world.raises.clear()
    world.stops.clear()
    world.did.clear()
    return upgrade(work.fleet_file.path, world.journal)


def test_the_backup_comes_first_and_the_file_last(work: Work, world: World, heard: Heard) -> None:
    path = work.fleet_file.path
    run(work, [upgrade(path), Close()])
    assert world.did == DONE
    assert f'version: "{NEW}"' in path.read_text()
    assert work.fleet.dagster.version == NEW, "the apply that follows is of the new fleet"
    assert work.fleet.locations["etl"].image == "etl:2"
    assert work.changes == {"alpha": 1}, "it is a release, whatever was done before"
    assert not path.with_name(WANTED).exists()
    assert world.journal == ""
    assert any(f"1 of 7  backup        {BACKUP} is good: 10000 runs" in line for line in heard.lines)


@pytest.mark.parametrize("number", range(len(DONE)), ids=lambda number: str(DONE[number]))
def test_killed_anywhere_the_same_command_goes_on_with_the_step_it_was_at(
    work: Work, world: World, number: int
) -> None:
    path = work.fleet_file.path
    world.raises[DONE[number]] = Killed()
    with pytest.raises(Killed):
        run(work, [upgrade(path), Close()])
    entered = next(each for each in reversed(DONE[: number + 1]) if each.startswith("-"))
    assert json.loads(world.journal)["step"] == entered.removeprefix("- ")
    run(work, [again(work, world), Close()])
    assert world.did == DONE[DONE.index(entered) :]
    assert f'version: "{NEW}"' in path.read_text()
    assert world.journal == ""


@pytest.mark.parametrize(
    ("failing", "way"),
    [
        ("docker stop", ["- images back", IMAGES_BACK, f"verify {OLD}"]),
        (DONE[6], DATABASE_BACK),
        (DONE[8], DATABASE_BACK),
        (DONE[10], DATABASE_BACK),
        ("rehearse", DATABASE_BACK),
    ],
)
def test_a_failure_takes_images_and_once_it_was_touched_the_database_back(
    work: Work, world: World, failing: str, way: list[str]
) -> None:
    path = work.fleet_file.path
    before = path.read_text()
    if failing.startswith("play"):
        # The way back plays, too: only of the new fleet's file.
        world.stops[failing] = Failure("alpha", "control_plane: Migrate", "no such column")
    else:
        world.raises[failing] = DagfleetError("alpha: no such column")
    with pytest.raises(UndoneError, match=r"prod runs Dagster 1\.12\.22 as before") as told:
        run(work, [upgrade(path), Close()])
    at = next(index for index, each in enumerate(world.did) if each.endswith(" back"))
    assert world.did[at:] == [*way, "- told"]
    assert "no such column" in told.value.message
    assert path.read_text() == before
    assert not hasattr(told.value, "__notes__"), "neither untouched nor to be gone on with"
    assert world.journal == ""
    [line] = world.releases
    release = Release(**json.loads(line.partition("'%s\\n' '")[2].partition("' >>")[0]))
    assert (release.taken_back, release.dagster) == ("alpha: no such column", OLD)


@pytest.mark.parametrize("number", range(len(DATABASE_BACK)), ids=lambda number: str(DATABASE_BACK[number]))
def test_killed_on_the_way_back_the_same_command_finishes_that(work: Work, world: World, number: int) -> None:
    path = work.fleet_file.path
    world.stops[DONE[6]] = Failure("alpha", "control_plane: Migrate", "no such column")
    world.raises[DATABASE_BACK[number]] = Killed()
    with pytest.raises(Killed):
        run(work, [upgrade(path)])
    entered = next(each for each in reversed(DATABASE_BACK[: number + 1]) if each.startswith("-"))
    with pytest.raises(UndoneError, match='failed at step "migrate": alpha: no such column'):
        run(work, [again(work, world)])
    assert world.did == [*DATABASE_BACK[DATABASE_BACK.index(entered) :], "- told"]
    assert world.journal == ""


def test_a_way_back_that_fails_is_gone_on_with(work: Work, world: World) -> None:
    world.stops[DONE[6]] = Failure("alpha", "control_plane: Migrate", "no such column")
    world.raises["restore"] = DagfleetError("alpha: the disk is full")
    with pytest.raises(DagfleetError, match="the disk is full") as told:
        run(work, [upgrade(work.fleet_file.path)])
    assert told.value.__notes__[0] == "The upgrade to 1.13.27 is being taken back: alpha: no such column."
    with pytest.raises(UndoneError):
        run(work, [again(work, world)])


def test_the_way_back_ends_although_the_fleet_was_not_well_before_either(
    work: Work, world: World, heard: Heard
) -> None:
    world.stops[DONE[6]] = Failure("alpha", "control_plane: Migrate", "no such column")
    world.raises[f"verify {OLD}"] = DagfleetError("location ml cannot be loaded", fix="see what it says")
    with pytest.raises(UndoneError):
        run(work, [upgrade(work.fleet_file.path)])
    assert "back: location ml cannot be loaded; see what it says" in heard.lines
    assert world.journal == ""


def test_a_backup_that_is_no_good_leaves_everything_as_it_is(work: Work, world: World) -> None:
    world.raises["verify"] = DagfleetError("alpha: it is damaged")
    with pytest.raises(DagfleetError, match="it is damaged") as told:
        run(work, [upgrade(work.fleet_file.path)])
    assert told.value.__notes__ == ["Nothing was touched."]
    assert world.did == DONE[:3]
    assert world.journal == ""


def test_a_host_that_falls_silent_holds_the_upgrade_up_and_takes_nothing_back(
    work: Work, world: World
) -> None:
    world.stops[DONE[10]] = Failure("beta", "code_server: Serve", "timed out", unreachable=True)
    with pytest.raises(UnreachableError, match="beta stopped answering"):
        run(work, [upgrade(work.fleet_file.path)])
    assert world.did[-1] == DONE[10]
    run(work, [again(work, world), Close()])
    assert world.did == DONE[9:]


def test_a_file_that_somebody_changed_meanwhile_is_not_written_over(work: Work, world: World) -> None:
    path = work.fleet_file.path
    phase = upgrade(path)
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(ConfigurationError, match="was changed while this command worked"):
        run(work, [phase])
    assert path.read_text().endswith("# mine\n")
    run(work, [again(work, world), Close()])
    assert path.read_text().endswith("# mine\n")
    assert f'version: "{NEW}"' in path.read_text()


def test_the_journal_stands_while_hosts_stay_behind(work: Work, world: World) -> None:
    run(work, [upgrade(work.fleet_file.path)])
    work.stopped["beta"] = Failure("beta", "base: Record", "no answer")
    Close().run(work)
    assert json.loads(world.journal)["step"] == STEPS[-1]


def test_the_key_of_encrypted_backups_goes_by_standard_input(work: Work, world: World) -> None:
    world.stops[DONE[6]] = Failure("alpha", "control_plane: Migrate", "no such column")
    with pytest.raises(UndoneError):
        run(work, [upgrade(work.fleet_file.path, identity="AGE-SECRET-KEY-1")])
    assert [each for each in world.did if each.endswith("with a key")] == [
        f"verify {BACKUP} --identity with a key", f"restore {BACKUP} --identity --force with a key",
    ]  # fmt: skip


@pytest.fixture
def known() -> Journal:
    return Journal(old=OLD, new=NEW, step="migrate", by="ops@laptop", at="2026-11-22T03:15:00+00:00")


def test_another_upgrade_cannot_begin_in_the_middle_of_one(fleet_file: FleetFile, known: Journal) -> None:
    with pytest.raises(
        ConfigurationError, match=r"from Dagster 1\.12\.22 to 1\.13\.27, begun by ops@laptop"
    ) as told:
        begun(fleet_file.fleet, known, "1.14.0", {}, None)
    assert told.value.fix == "finish it first: dagfleet upgrade 1.13.27"


def test_images_cannot_change_in_the_middle_of_an_upgrade(fleet_file: FleetFile, known: Journal) -> None:
    assert begun(fleet_file.fleet, known, NEW, {}, None) is known
    with pytest.raises(ConfigurationError, match="was begun with other images"):
        begun(fleet_file.fleet, known, NEW, {"etl": "etl:3"}, None)


def test_a_third_version_in_the_file_is_refused(fleet_file: FleetFile, known: Journal) -> None:
    strange = Journal(old="1.11.1", new=NEW, step="migrate", by="ops@laptop", at=known.at)
    with pytest.raises(
        ConfigurationError, match=r"fleet\.yml says Dagster 1\.12\.22, and an upgrade from 1\.11\.1"
    ):
        begun(fleet_file.fleet, strange, NEW, {}, None)


def test_what_is_no_journal_is_not_taken_for_one() -> None:
    assert journal.parsed("\n", "alpha") is None
    with pytest.raises(DagfleetError, match="/var/lib/dagfleet/upgrade on alpha is not the journal"):
        journal.parsed('{"steps": []}', "alpha")

"""The lock's own scripts in a real shell, several at once."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagfleet.errors import DagfleetError, LockedError, UnreachableError
from dagfleet.probe import lock as module
from dagfleet.probe.connection import Answer
from dagfleet.probe.lock import LEASE_SECONDS, FleetLock, break_lock, look
from dagfleet.probe.target import Target

TARGET = Target(
    name="alpha", address="10.0.1.1", user="ops", port=22, key=None, known_hosts=Path("known_hosts")
)


@dataclass
class LocalShell:
    """Runs the scripts here."""

    target: Target = TARGET
    cut_off: bool = False

    def run(self, script: str) -> Answer:
        if self.cut_off:
            raise UnreachableError("alpha stopped answering")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=30)
        return Answer(done.returncode == 0, done.stdout, done.stderr)

    def close(self) -> None:
        pass


def fleet_lock(
    folder: Path, *, shell: LocalShell | None = None, command: str = "dagfleet apply"
) -> FleetLock:
    return FleetLock(shell or LocalShell(), fleet_name="prod", command=command, directory=str(folder))


def age(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder / "lock" / "owner", (moment, moment))


def test_the_second_apply_is_told_who_works(tmp_path: Path) -> None:
    with fleet_lock(tmp_path, command="dagfleet apply --limit beta") as first:
        first.take()
        with pytest.raises(LockedError) as refused:
            fleet_lock(tmp_path).take()
    assert refused.value.exit_code == 4
    assert refused.value.message.startswith(
        f'prod is locked: {module.here()} runs "dagfleet apply --limit beta"'
    )
    assert "--wait 10m" in (refused.value.fix or "")


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    with fleet_lock(tmp_path) as first:
        first.take()
        assert look(LocalShell(), directory=str(tmp_path)) is not None
    assert look(LocalShell(), directory=str(tmp_path)) is None
    with fleet_lock(tmp_path) as second:
        second.take()


def test_waiting_ends_when_the_other_is_done(tmp_path: Path) -> None:
    first = fleet_lock(tmp_path)
    first.take()
    seen: list[str] = []

    def waiting(holder: module.Holder) -> None:
        seen.append(holder.command)
        first.release()

    with fleet_lock(tmp_path) as second:
        second.take(wait=20, waiting=waiting)
        second.confirm()
    assert seen == ["dagfleet apply"]


def test_only_one_of_many_takers_wins(tmp_path: Path) -> None:
    locks = [fleet_lock(tmp_path) for _ in range(8)]

    def take(each: FleetLock) -> bool:
        try:
            each.take()
        except LockedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, locks)) == 1
    for each in locks:
        each.release()


def test_a_lease_that_ran_out_is_taken_over_by_exactly_one(tmp_path: Path) -> None:
    dead = fleet_lock(tmp_path)
    dead.take()
    age(tmp_path, LEASE_SECONDS + 1)
    locks = [fleet_lock(tmp_path) for _ in range(8)]

    def take(each: FleetLock) -> bool:
        try:
            each.take()
        except LockedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, locks)) == 1
    with pytest.raises(LockedError, match="the lock was lost"):
        dead.confirm()
    # The loser's release must not take the winner's lock away.
    dead.release()
    assert look(LocalShell(), directory=str(tmp_path)) is not None
    for each in locks:
        each.release()


def test_a_lease_is_renewed_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.05)
    with fleet_lock(tmp_path) as first:
        first.take()
        age(tmp_path, LEASE_SECONDS - 5)
        deadline = time.monotonic() + 10
        while (holder := look(LocalShell(), directory=str(tmp_path))) and holder.renewed > 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_control_host_out_of_reach_for_a_moment_does_not_end_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.02)
    shell = LocalShell()
    with fleet_lock(tmp_path, shell=shell) as first:
        first.take()
        shell.cut_off = True
        time.sleep(0.1)
        shell.cut_off = False
        first.confirm()


def test_an_owner_that_died_before_it_wrote_its_name_holds_no_longer_than_a_lease(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(LockedError, match="someone"):
        fleet_lock(tmp_path).take()
    moment = time.time() - LEASE_SECONDS - 1
    os.utime(tmp_path / "lock", (moment, moment))
    with fleet_lock(tmp_path) as second:
        second.take()


def test_a_lock_in_use_is_broken_by_force_only(tmp_path: Path) -> None:
    first = fleet_lock(tmp_path)
    first.take()
    with pytest.raises(LockedError, match="still works here"):
        break_lock(LocalShell(), force=False, directory=str(tmp_path))
    assert break_lock(LocalShell(), force=True, directory=str(tmp_path))
    assert not break_lock(LocalShell(), force=True, directory=str(tmp_path))
    first.release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DagfleetError, match=r"the lock in .*file cannot be used"):
        fleet_lock(tmp_path / "file").take()


def test_with_its_fleet_the_lock_and_its_directory_go(tmp_path: Path) -> None:
    folder = tmp_path / "dagfleet"
    with fleet_lock(folder) as last:
        last.take()
        last.dissolve()
        assert not folder.exists()
    assert not folder.exists(), "giving it back makes nothing anew"


def test_somebody_elses_files_beside_the_lock_stay(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with fleet_lock(tmp_path) as last:
        last.take()
        last.dissolve()
    assert [file.name for file in tmp_path.iterdir()] == ["before"]


def test_a_lock_that_another_took_over_is_not_dissolved(tmp_path: Path) -> None:
    with fleet_lock(tmp_path) as first, fleet_lock(tmp_path) as second:
        first.take()
        age(tmp_path, LEASE_SECONDS + 1)
        second.take()
        first.dissolve()
        assert look(LocalShell(), directory=str(tmp_path)) is not None

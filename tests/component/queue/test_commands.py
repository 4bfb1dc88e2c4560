"""Our queue daemon under our own command and under an unmodified `dagster-daemon run`, side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.component.queue.conftest import ROOT, MakeWorld
from tests.component.queue.world import World, eventually, queued_run


def test_runs_under_both_commands_and_one_takes_over_from_the_other(make_world: MakeWorld) -> None:
    world = make_world(settings={"schedules": {"use_threads": False}})
    (world.home / "workspace.yaml").write_text("load_from: []\n")
    [first] = world.enqueue([queued_run()])
    ours = start(world, "dagster-fleet-daemon")
    try:
        eventually(lambda: world.launches() == [first])
        stock = start(world, "dagster-daemon")
        try:
            eventually(lambda: "stands by" in log(world, "dagster-daemon"))
            stop(ours)
            [second] = world.enqueue([queued_run()])
            eventually(lambda: world.launches() == [first, second])
        finally:
            stop(stock)
    finally:
        stop(ours)

    assert "'FleetQueueDaemon'" in log(world, "dagster-fleet-daemon")
    types = [kind for (kind,) in world.execute("select daemon_type from daemon_heartbeats")]
    assert "QUEUED_RUN_COORDINATOR" in types


def test_has_the_options_of_dagsters_own_command() -> None:
    options = [
        {line.split()[0] for line in text.splitlines() if line.strip().startswith("--")}
        for text in (help_of("dagster-fleet-daemon"), help_of("dagster-daemon"))
    ]
    assert options[0] == options[1] != set()


def command(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def help_of(name: str) -> str:
    return subprocess.run([command(name), "run", "--help"], check=True, capture_output=True, text=True,
                          timeout=120).stdout  # fmt: skip


def start(world: World, name: str) -> subprocess.Popen[bytes]:
    with (world.home / f"{name}.log").open("wb") as output:
        return subprocess.Popen(
            [command(name), "run", "-w", str(world.home / "workspace.yaml")],
            env={**os.environ, "DAGSTER_HOME": str(world.home), "PYTHONPATH": str(ROOT)},
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def log(world: World, name: str) -> str:
    return (world.home / f"{name}.log").read_text()


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

"""Queue daemons in processes of their own, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from clt_queued_run_coordinator.storage import migration, pool
from dagster import DagsterInstance

from tests.component.database import Cluster, copied
from tests.component.queue.world import World

ROOT = Path(__file__).parents[3]


class Nursery:
    """Forks daemons and knows which are alive."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "daemons.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.component.queue.nursery"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.alive: set[int] = set()

    def start(self, world: World, die_at: int | None = None) -> int:
        pid = int(self._ask({"do": "start", "home": str(world.home), "die_at": die_at,
                             "log": str(self._log)})["pid"])  # fmt: skip
        self.alive.add(pid)
        return pid

    def wait(self, pid: int, within: float = 60) -> None:
        """Wait until a daemon has died; kill it if it takes longer."""
        self._ask({"do": "wait", "pid": pid, "within": within})
        self.alive.discard(pid)

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def kill_all(self) -> None:
        for pid in list(self.alive):
            self.kill(pid)

    def close(self) -> None:
        self.kill_all()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def nursery_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture
def nursery(nursery_process: Nursery) -> Iterator[Nursery]:
    """Start daemons; those that are left end with the test."""
    yield nursery_process
    nursery_process.kill_all()


MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def template(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a database that has Dagster's tables and ours, to be copied."""
    database = cluster.create_database()
    url = database.with_password
    world = World(url, tmp_path_factory.mktemp("template"))
    write_config(world, {})
    with DagsterInstance.from_config(str(world.home)) as instance:
        assert instance.get_runs_count() == 0
        engine = pool.engine(instance)
        assert engine is not None
        migration.ensure(engine)
        engine.dispose()
    return url


@pytest.fixture
def make_world(template: str, tmp_path: Path) -> MakeWorld:
    """Make an empty database of this test's own; `config` is the coordinator's."""

    def make(settings: dict[str, Any] | None = None, **config: Any) -> World:
        url = copied(template)
        home = tmp_path / url.rpartition("/")[2]
        home.mkdir()
        world = World(url, home)
        world.launched.touch()
        write_config(world, config, settings)
        return world

    return make


def write_config(world: World, coordinator: dict[str, Any], settings: dict[str, Any] | None = None) -> None:
    document = {
        "storage": {"postgres": {"postgres_url": world.url}},
        "run_coordinator": {
            "module": "clt_queued_run_coordinator.coordinator",
            "class": "CLTQueuedRunCoordinator",
            "config": coordinator,
        },
        "run_launcher": {
            "module": "tests.component.queue.launchers",
            "class": "FileLauncher",
            "config": {"path": str(world.launched)},
        },
        "telemetry": {"enabled": False},
    }
    (world.home / "dagster.yaml").write_text(yaml.safe_dump(document | (settings or {})))

"""Instances with our coordinator on a real PostgreSQL, or on SQLite; nothing is launched."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget

from tests.component.database import Cluster, copied
from tests.unit.launcher.runs import create_run, instance_from


@dataclass(frozen=True)
class Deployment:
    """A loaded instance and what a web server or daemon does with it."""

    context: WorkspaceProcessContext
    folder: Path

    @property
    def instance(self) -> DagsterInstance:
        return self.context.instance

    def create(self, **kwargs: Any) -> DagsterRun:
        return create_run(self.instance, **({"status": DagsterRunStatus.NOT_STARTED} | kwargs))

    def submit(self, run: DagsterRun, source: object = None) -> DagsterRun:
        workspace = self.context.create_request_context(source=source)
        return self.instance.run_coordinator.submit_run(SubmitRunContext(run, workspace))

    def submitted(self, **kwargs: Any) -> DagsterRun:
        return self.submit(self.create(**kwargs))

    def stored(self, run: DagsterRun) -> DagsterRun:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found

    def messages(self, run: DagsterRun) -> list[tuple[str, str | None]]:
        return [
            (entry.dagster_event.event_type_value, entry.dagster_event.message)
            for entry in self.instance.all_logs(run.run_id)
            if entry.dagster_event
        ]


Load = Callable[..., Deployment]
OURS = {"module": "clt_queued_run_coordinator.coordinator", "class": "CLTQueuedRunCoordinator"}


@contextmanager
def instance(
    folder: Path, postgres_url: str | None, config: dict[str, Any], coordinator: dict[str, str] = OURS
) -> Iterator[DagsterInstance]:
    """Load an instance with this coordinator, on that database or on SQLite."""
    settings = {
        "run_coordinator": {**coordinator, "config": config},
        "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
        "telemetry": {"enabled": False},
    }
    if postgres_url is None:
        with instance_from(folder, settings) as on_sqlite:
            yield on_sqlite
        return
    storage = {"storage": {"postgres": {"postgres_url": postgres_url}}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings | storage))
    with DagsterInstance.from_config(str(folder)) as on_postgres:
        yield on_postgres


@pytest.fixture(scope="session")
def template(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a database that has Dagster's tables, to be copied."""
    url = cluster.create_database().with_password
    with instance(tmp_path_factory.mktemp("template"), url, {}) as made:
        assert made.get_runs_count() == 0
    return url


@pytest.fixture
def postgres_url(template: str) -> str:
    """Return the URL of an empty database of this test's own."""
    return copied(template)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load instances; each closes with the test."""
    with ExitStack() as stack:

        def load(url: str | None, coordinator: dict[str, str] | None = None, **config: Any) -> Deployment:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            loaded = stack.enter_context(instance(folder, url, config, coordinator or OURS))
            context = stack.enter_context(WorkspaceProcessContext(loaded, EmptyWorkspaceTarget()))
            return Deployment(context, folder)

        yield load


@pytest.fixture
def on_postgres(load: Load, postgres_url: str) -> Load:
    """Load instances that share this test's PostgreSQL database."""

    def loaded(**config: Any) -> Deployment:
        return load(postgres_url, **config)

    return loaded


@pytest.fixture(params=["postgresql", "sqlite"])
def deployment(request: pytest.FixtureRequest, load: Load) -> Load:
    """Load an instance on PostgreSQL and on SQLite in turn."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None

    def loaded(**config: Any) -> Deployment:
        return load(url, **config)

    return loaded

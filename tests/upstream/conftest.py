"""Instances with our coordinator where Dagster's tests expect theirs, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from clt_queued_run_coordinator.storage import pool
from dagster import DagsterInstance
from dagster._core.test_utils import instance_for_test

from tests.component.database import Cluster, copied

OURS = {"module": "clt_queued_run_coordinator.coordinator", "class": "CLTQueuedRunCoordinator"}
Load = Callable[[Mapping[str, Any]], AbstractContextManager[DagsterInstance]]


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker that some of Dagster's tests carry."""
    config.addinivalue_line("markers", "flaky: Dagster's own; here no test is repeated")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(user="upstream")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """Return the URL of a database that has Dagster's tables, to be copied."""
    url = cluster.create_database().with_password
    with instance_for_test(overrides=_on_postgres(url)) as made:
        assert made.get_runs_count() == 0
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def load(request: pytest.FixtureRequest) -> Load:
    """Return a function that loads an instance with these settings and an empty storage."""
    storage = {}
    if request.param == "postgres":
        storage = _on_postgres(copied(request.getfixturevalue("template")))

    @contextmanager
    def loaded(settings: Mapping[str, Any]) -> Iterator[DagsterInstance]:
        with instance_for_test(overrides={**settings, **storage}) as instance:
            # What is tested is the way that this storage takes.
            assert (pool.engine(instance) is not None) == (request.param == "postgres")
            yield instance

    return loaded


def _on_postgres(url: str) -> dict[str, Any]:
    return {"storage": {"postgres": {"postgres_url": url}}}

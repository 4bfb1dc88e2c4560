"""A PostgreSQL for compute logs, and the manager as each host has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._serdes import ConfigurableClassData
from dagster_multihost_launcher import PostgresComputeLogManager

from tests.component.database import Cluster, Database


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make an empty database, whose password libpq finds in a file, as on a fleet."""
    database = cluster.create_database()
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:*:{database.password}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    return database


@pytest.fixture
def on_host(database: Database, tmp_path: Path) -> Iterator[Callable[..., PostgresComputeLogManager]]:
    """Make the manager as one host has it, with that host's own disk."""
    managers = []

    def make(host: str, **config: Any) -> PostgresComputeLogManager:
        values = {"postgres_url": database.url, "local_dir": str(tmp_path / host), "upload_interval": 1}
        manager = ConfigurableClassData(
            "dagster_multihost_launcher", "PostgresComputeLogManager", yaml.safe_dump({**values, **config})
        ).rehydrate(as_type=PostgresComputeLogManager)
        managers.append(manager)
        return manager

    yield make
    for manager in managers:
        manager.dispose()

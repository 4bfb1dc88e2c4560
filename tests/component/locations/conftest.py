"""An empty warehouse in a real PostgreSQL, for the example locations."""

import sys
from pathlib import Path

import pytest

from tests.component.database import Cluster, Database

LOCATIONS = Path(__file__).parents[3] / "inventory/lab/locations"
sys.path[:0] = [str(LOCATIONS / name) for name in ("etl", "reporting")]


@pytest.fixture
def database(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make an empty warehouse for one test, which the locations find in the environment."""
    database = cluster.create_database()
    monkeypatch.setenv("WAREHOUSE_URL", database.url)
    monkeypatch.setenv("WAREHOUSE_PASSWORD", database.password)
    return database

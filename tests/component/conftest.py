"""What several component suites need: a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.component.database import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return a running cluster; who stops it starts it again."""
    cluster = Cluster(user="warehouse")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()

"""What becomes of old logs, and of a table that somebody else makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dagster_multihost_launcher import PostgresComputeLogManager
from sqlalchemy.exc import ProgrammingError

from tests.component.database import Database
from tests.component.launcher.logs import ERR, ask, read, write


def test_logs_are_deleted_by_key_and_by_prefix(on_host: Callable[..., PostgresComputeLogManager]) -> None:
    manager = on_host("a")
    for run in ("1", "10"):
        for step in ("x", "y"):
            write(manager, step, [run, "compute_logs", step])
    manager.delete_logs(log_key=["10", "compute_logs", "x"])
    assert manager.get_log_keys_for_log_key_prefix(["10", "compute_logs"], ERR) == [
        ["10", "compute_logs", "y"]
    ]
    manager.delete_logs(prefix=["1"])
    assert manager.get_log_keys_for_log_key_prefix(["1", "compute_logs"], ERR) == []
    assert read(manager, ["10", "compute_logs", "y"]) == b"y"


def test_old_logs_expire_once_an_hour(
    database: Database, on_host: Callable[..., PostgresComputeLogManager]
) -> None:
    manager = on_host("a", retention_days=30)
    aged = "UPDATE compute_log_batches SET stored_at = now() - interval '%s'"
    write(manager, "old\n")
    ask(database, aged % "31 days")
    write(manager, "young\n", ["run", "compute_logs", "young"])
    assert read(manager) is None
    write(manager, "old\n")
    ask(database, aged % "31 days" + " WHERE stream <> 'expiry'")
    write(manager, "young\n", ["run", "compute_logs", "younger"])
    assert read(manager) == b"old\n"


def test_a_missing_table_is_not_created_against_the_operators_will(
    on_host: Callable[..., PostgresComputeLogManager], caplog: pytest.LogCaptureFixture
) -> None:
    manager = on_host("a", should_autocreate_tables=False)
    write(manager, "kept here\n")
    assert 'relation "compute_log_batches" does not exist' in caplog.text
    with pytest.raises(ProgrammingError):
        read(manager)

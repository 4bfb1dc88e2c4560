"""Writing and reading compute logs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster_multihost_launcher import PostgresComputeLogManager

from tests.component.database import Database

KEY = ["run", "compute_logs", "step"]
ERR = ComputeIOType.STDERR


def write(manager: PostgresComputeLogManager, text: str, log_key: list[str] = KEY) -> None:
    with manager.open_log_stream(log_key, ERR) as stream:
        assert stream is not None
        stream.write(text)


def read(manager: PostgresComputeLogManager, log_key: list[str] = KEY) -> bytes | None:
    return manager.get_log_data(log_key).stderr


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise TimeoutError("it did not happen")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def ask(database: Database, sql: str) -> Any:
    connection = psycopg2.connect(database.url)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchone()[0] if cursor.description else None
    connection.close()
    return found

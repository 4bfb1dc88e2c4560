from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import pytest
import yaml
from dagster._check import CheckError
from dagster._core.errors import DagsterInvalidConfigError
from dagster._serdes import ConfigurableClassData
from dagster_multihost_launcher import PostgresComputeLogManager
from dagster_multihost_launcher.log_file import Cap, new_batches
from dagster_multihost_launcher.log_table import key_text

from tests.unit.launcher.runs import instance_from

URL = "postgresql://dagster@127.0.0.1:9/dagster"
REFERENCE = """
postgres_db:
  username: dagster
  password: {env: DAGSTER_PG_PASSWORD}
  hostname: 10.0.1.1
  db_name: dagster
  port: 5433
  params: {sslmode: require, connect_timeout: 1}
should_autocreate_tables: false
local_dir: /var/lib/dagster/compute_logs
upload_interval: 30
max_log_bytes: {env: MAX_LOG_BYTES}
"""


def loaded(config: dict[str, Any]) -> PostgresComputeLogManager:
    return ConfigurableClassData(
        "dagster_multihost_launcher", "PostgresComputeLogManager", yaml.safe_dump(config)
    ).rehydrate(as_type=PostgresComputeLogManager)


def stored(path: Path, cap: int, *, finished: bool, start: int = 0) -> tuple[bytes, int]:
    """Return what is stored of the file, and where the next upload begins."""
    data = b""
    for batch in new_batches(path, "out", start, cap=Cap(cap), finished=finished):
        assert batch.start == start
        data, start = data + batch.data, batch.end
    return data, start


def test_configuration_of_the_reference_loads_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "hunter 2")
    monkeypatch.setenv("MAX_LOG_BYTES", "20000")
    manager = loaded(yaml.safe_load(REFERENCE))
    assert manager.upload_interval == 30
    assert manager._uploading.cap == Cap(20000)
    assert manager._uploading.folder == Path("/var/lib/dagster/compute_logs/captures")
    url = manager._table._engine.url
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "dagster",
        "hunter 2",
        "10.0.1.1",
        5433,
        "dagster",
    )
    assert url.query == {"sslmode": "require", "connect_timeout": "1"}


def test_a_url_is_enough() -> None:
    manager = loaded({"postgres_url": URL})
    assert manager.upload_interval == 5
    assert manager._uploading.cap == Cap(10 * 1024 * 1024)
    assert manager._uploading.retention_days is None


@pytest.mark.parametrize("interval", [0, None])
def test_without_an_interval_logs_are_uploaded_at_the_end_only(interval: int | None) -> None:
    assert loaded({"postgres_url": URL, "upload_interval": interval}).upload_interval is None


@pytest.mark.parametrize("config", [{}, {"postgres_url": URL, "postgres_db": {"username": "u"}}])
def test_one_database_has_to_be_named(config: dict[str, Any]) -> None:
    with pytest.raises((CheckError, DagsterInvalidConfigError)):
        loaded(config)


def test_an_instance_loads_it_without_asking_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(psycopg2, "connect", refuse)
    config = {"postgres_url": URL, "local_dir": str(tmp_path / "logs")}
    logs = {"module": "dagster_multihost_launcher", "class": "PostgresComputeLogManager", "config": config}
    with instance_from(tmp_path, {"compute_logs": logs}) as instance:
        assert isinstance(instance.compute_log_manager, PostgresComputeLogManager)
        assert instance.info_dict()["compute_logs"]
    assert not (tmp_path / "logs").exists()


def test_a_process_that_writes_compute_logs_loads_no_docker_sdk_and_no_ssh() -> None:
    code = (
        "import sys; from dagster_multihost_launcher import PostgresComputeLogManager;"
        " assert not {'docker', 'paramiko', 'dagster_multihost_launcher.launcher'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_a_log_below_the_cap_is_stored_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1000)
    assert stored(path, 1000, finished=True) == (b"x" * 1000, 1000)
    assert stored(path, 0, finished=False) == (b"x" * 1000, 1000)


def test_the_part_kept_for_the_end_is_held_back_until_then(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1000)
    head, end = stored(path, 1000, finished=False)
    rest, _ = stored(path, 1000, finished=True, start=end)
    assert (len(head), len(rest)) == (750, 250)


def test_a_log_over_the_cap_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %04d\n" % number for number in range(1000)))
    live, end = stored(path, 1000, finished=False)
    assert live.startswith(b"line 0000\n")
    assert live.endswith(
        b"\n[cut here: of what follows, the last 250 bytes are stored when the step ends;"
        b" max_log_bytes is 1,000]\n"
    )
    assert stored(path, 1000, finished=False, start=end) == (b"", end)
    path.write_bytes(path.read_bytes() + b"the cause\n")
    last, end = stored(path, 1000, finished=True, start=end)
    kept = last.partition(b"]\n")[2]
    assert kept.startswith(b"line 097")
    assert kept.endswith(b"line 0999\nthe cause\n")
    assert b"%d bytes are not stored" % (10010 - 750 - len(kept)) in last.replace(b",", b"")
    assert stored(path, 1000, finished=True, start=end) == (b"", end)


@pytest.mark.parametrize("cap", [1, 2, 5])
def test_even_a_tiny_cap_says_what_was_cut(tmp_path: Path, cap: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (cap + 1))
    _, end = stored(path, cap, finished=False)
    assert b"[cut here: 1 bytes are not stored" in stored(path, cap, finished=True, start=end)[0]


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_a_character_that_is_written_by_halves_is_stored_whole(tmp_path: Path, character: str) -> None:
    path, whole = tmp_path / "log", f"a{character}".encode()
    path.write_bytes(whole[:-1])
    assert stored(path, 0, finished=False) == (b"a", 1)
    assert stored(path, 0, finished=True) == (whole[:-1], len(whole) - 1)
    path.write_bytes(whole)
    assert stored(path, 0, finished=False) == (whole, len(whole))


def test_parts_of_a_log_key_with_slashes_stay_apart() -> None:
    assert len({key_text(key) for key in (["a", "b/c"], ["a/b", "c"], ["a", "b", "c"], ["a%2Fb", "c"])}) == 4

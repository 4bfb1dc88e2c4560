import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster._core.storage.event_log.base import EventLogCursor

from tests.component.postgres.conftest import POOL_SIZES, Storage

LISTEN_STATE = "0A"


@dg.op
def measure() -> int:
    return 1


@dg.job
def measuring() -> None:
    measure()


@pytest.fixture
def instance(
    storage: Storage, password_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    monkeypatch.setenv("PGPASSFILE", str(password_file))
    url = f"postgresql://dagster@127.0.0.1:{storage.port}/dagster"
    overrides = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
    return dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides)


def test_a_dagster_instance_keeps_a_run_and_its_events(instance: dg.DagsterInstance) -> None:
    result = measuring.execute_in_process(instance=instance)

    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.status is dg.DagsterRunStatus.SUCCESS
    events = [
        record.dagster_event_type for record in instance.all_logs(result.run_id) if record.is_dagster_event
    ]
    assert dg.DagsterEventType.STEP_SUCCESS in events


def test_a_watcher_hears_of_events_as_they_are_stored(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(measuring)
    heard = threading.Event()

    def callback(_event: dg.EventLogEntry, _cursor: str | EventLogCursor) -> None:
        heard.set()

    instance.event_log_storage.watch(run.run_id, None, callback)
    try:
        instance.report_engine_event("listening", run)
        assert heard.wait(20)
    finally:
        instance.event_log_storage.end_watch(run.run_id, callback)


def test_dagsters_short_connections_use_the_servers_lasting_ones(
    instance: dg.DagsterInstance, storage: Storage
) -> None:
    def backends() -> set[str]:
        sql = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE datname = 'dagster'"
        return set(storage.ask("dagster", sql).split())

    instance.get_runs()
    before = backends()
    for _ in range(20):
        instance.get_runs()

    assert before <= backends()


def test_many_short_connections_share_a_few_of_the_servers(storage: Storage) -> None:
    clients, calls = 200, 800

    with ThreadPoolExecutor(clients) as pool:
        backends = list(pool.map(lambda _: storage.ask("dagster", "SELECT pg_backend_pid()"), range(calls)))

    assert len(backends) == calls
    assert len(set(backends)) <= POOL_SIZES["dagster"]


def test_settings_of_one_session_do_not_reach_the_next(storage: Storage) -> None:
    with closing(storage.connect("warehouse")) as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 12345; SELECT pg_backend_pid()")
        backend = str(cursor.fetchone()[0])
        connection.commit()

    assert storage.ask("warehouse", "SELECT pg_backend_pid()") == backend
    assert storage.ask("warehouse", "SHOW statement_timeout") == "0"


def test_an_advisory_lock_is_its_sessions_own_and_ends_with_it(storage: Storage) -> None:
    take = "SELECT pg_try_advisory_lock(42)"
    with closing(storage.connect("dagster")) as holder, holder.cursor() as cursor:
        cursor.execute(take)
        holder.commit()
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (1,)
        assert storage.ask("dagster", take) == "False"

    deadline = time.monotonic() + 20
    while storage.ask("dagster", take) != "True":
        assert time.monotonic() < deadline, "the lock outlived the session that took it"
        time.sleep(0.1)


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_refused(storage: Storage, password: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"SASL authentication failed|no password supplied"):
        storage.connect("dagster", password=password)


def test_a_role_cannot_reach_the_database_of_another(storage: Storage) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
        storage.connect("warehouse", "dagster")


def test_nobody_logs_in_as_administrator(storage: Storage) -> None:
    with pytest.raises(psycopg2.OperationalError, match="no such"):
        storage.connect("dagster", "postgres")


def test_no_password_is_kept_in_clear(storage: Storage) -> None:
    users = (storage.directory / "users.txt").read_text()

    assert users.count('"SCRAM-SHA-256$') == len(POOL_SIZES)


def test_only_pgbouncer_listens_and_only_on_loopback(storage: Storage) -> None:
    assert _tcp_listeners(storage.postgres_pid) == []
    assert _tcp_listeners(storage.pgbouncer_pid) == [f"0100007F:{storage.port:04X}"]


def _tcp_listeners(pid: int) -> list[str]:
    descriptors = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {
        name.removeprefix("socket:[").removesuffix("]") for name in descriptors if name.startswith("socket:")
    }
    listeners = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == LISTEN_STATE and inode in sockets:
                listeners.append(address)
    return listeners

"""What an operator changes: a run's priority, what is paused, which runs are canceled."""

import getpass
import os
import socket
from collections.abc import Iterator, Sequence

from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import PRIORITY_TAG
from sqlalchemy import Engine, TextClause, text

from clt_queued_run_coordinator.journal.change import canceled, retagged
from clt_queued_run_coordinator.journal.postgres import PostgresJournal
from clt_queued_run_coordinator.operating.errors import OperatingError
from clt_queued_run_coordinator.storage import migration, pool

CANCEL_BATCH = 500
_ATTEMPTS = 20

_PAUSE = text("""
insert into dagfleet_queue_pauses (kind, name, paused_by, reason) values (:kind, :name, :paused_by, :reason)
on conflict (kind, name) do update set paused_by = excluded.paused_by, reason = excluded.reason
""")
# Who asks, where the command runs for somebody else, as in a container.
USER_VARIABLE = "DAGSTER_QUEUE_USER"
_RESUME = text("delete from dagfleet_queue_pauses where kind = :kind and name = :name")


def prioritise(instance: DagsterInstance, run_id: str, priority: int) -> None:
    """Change a queued run's priority; the daemon hears of it. Raise `OperatingError` if it is not queued."""
    journal = PostgresJournal.of(instance)
    if journal is None:
        run = instance.get_run_by_id(run_id)
        if run is None or run.status != DagsterRunStatus.QUEUED:
            raise OperatingError(f"Run {run_id} is not queued any more: its priority stays as it is.")
        instance.add_run_tags(run_id, {PRIORITY_TAG: str(priority)})
        return
    for _ in range(_ATTEMPTS):
        stored = journal.read(run_id)
        if stored is None or stored.run.status != DagsterRunStatus.QUEUED:
            raise OperatingError(f"Run {run_id} is not queued any more: its priority stays as it is.")
        if journal.write([(stored, retagged(stored.run, {PRIORITY_TAG: str(priority)}))]).run_ids:
            return
    raise OperatingError(f"Run {run_id} changes all the time: try again.")


def pause(instance: DagsterInstance, kind: str, name: str, reason: str) -> None:
    """Launch no more runs of this location, user or host until it is resumed; its active runs go on."""
    _execute(
        instance,
        _PAUSE,
        kind=kind,
        name=name,
        paused_by=os.environ.get(USER_VARIABLE) or f"{getpass.getuser()}@{socket.gethostname()}",
        reason=reason,
    )


def resume(instance: DagsterInstance, kind: str, name: str) -> bool:
    """Launch its runs again; return whether it was paused."""
    return _execute(instance, _RESUME, kind=kind, name=name) > 0


def cancel(instance: DagsterInstance, run_ids: Sequence[str], message: str) -> Iterator[int]:
    """Cancel those that are still queued, in batches; yield after each how many it canceled.

    A run that the daemon launches meanwhile is not touched.
    """
    journal = PostgresJournal.of(instance)
    for start in range(0, len(run_ids), CANCEL_BATCH):
        batch = list(run_ids[start : start + CANCEL_BATCH])
        yield _cancel_batch(journal, batch, message) if journal else _cancel_each(instance, batch, message)


def _cancel_batch(journal: PostgresJournal, run_ids: list[str], message: str) -> int:
    done = 0
    for _ in range(_ATTEMPTS):
        found = journal.read_where("run_id = any(%s) and status = 'QUEUED'", (run_ids,))
        if not found:
            break
        done += len(journal.write([(stored, canceled(stored.run, message)) for stored in found]).run_ids)
    return done


def _cancel_each(instance: DagsterInstance, run_ids: list[str], message: str) -> int:
    done = 0
    for run_id in run_ids:
        run = instance.get_run_by_id(run_id)
        if run and run.status == DagsterRunStatus.QUEUED:
            instance.report_run_canceling(run, message="Canceling run from the queue.")
            instance.report_run_canceled(run, message)
            done += 1
    return done


def _execute(instance: DagsterInstance, statement: TextClause, **parameters: str) -> int:
    engine = _engine(instance)
    with engine.connect() as connection:
        return int(connection.execute(statement, parameters).rowcount)


def _engine(instance: DagsterInstance) -> Engine:
    engine = pool.engine(instance)
    if engine is None:
        raise OperatingError(
            "Pausing needs PostgreSQL: this instance keeps runs elsewhere."
            " Set a limit of 0 in tag_concurrency_limits instead."
        )
    migration.ensure(engine)
    return engine

"""Leads or stands by: one session that holds the lock, renews the lease and hears what changes."""

import logging
import select
import threading
import time
from typing import Any

import sqlalchemy

from clt_queued_run_coordinator.queue.mailbox import Mailbox
from clt_queued_run_coordinator.queue.process import holder
from clt_queued_run_coordinator.storage.migration import LOCK

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

# A standby must lead within five seconds of a crash: it tries this often, and a leader whose host vanished
# without closing its connection is taken for dead after the lease.
TRY_SECONDS = 0.5
RENEW_SECONDS = 1.0
LEASE_SECONDS = 3.5
RECONNECT_SECONDS = 0.5

# The advisory lock's key as pg_locks shows it: two halves.
_DEPOSE = """
select pg_terminate_backend(l.pid) from pg_locks l, dagfleet_queue_leader d
where l.locktype = 'advisory' and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
    and (l.classid::bigint << 32 | l.objid::bigint) = %(lock)s
    and d.renewed_at < now() - make_interval(secs => %(lease)s)
"""
# Changing the row waits for every statement that the last leader still has under way, and fences it off.
_LEAD = """
update dagfleet_queue_leader set epoch = epoch + 1, holder = %(holder)s, identity = %(identity)s,
    backend = pg_backend_pid(), since = clock_timestamp(), renewed_at = clock_timestamp()
returning epoch
"""
_RENEW = """
update dagfleet_queue_leader set renewed_at = clock_timestamp()
where epoch = %(epoch)s and backend = pg_backend_pid()
"""


class Leadership:
    """A thread with one PostgreSQL session of its own. `epoch` is this process's term, None on standby."""

    def __init__(self, engine: sqlalchemy.Engine, *, identity: str, mailbox: Mailbox) -> None:
        self._engine = engine
        self._identity = identity
        self._mailbox = mailbox
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dagfleet-queue-leader", daemon=True)
        self.epoch: int | None = None

    def start(self) -> None:
        """Begin to listen and to try for the lead."""
        self._thread.start()

    def stop(self) -> None:
        """Give up the lead and close the session."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        reported = ""
        while not self._stopping.is_set():
            try:
                self._serve()
                reported = ""
            except Exception as error:  # whatever broke the session, a new one heals it
                sentence = str(error).strip().partition("\n")[0]
                if sentence != reported:
                    logger.warning(
                        "The queue's session with PostgreSQL broke, connecting again: %s", sentence
                    )
                    reported = sentence
                self._stopping.wait(RECONNECT_SECONDS)
            finally:
                self._become(None)

    def _serve(self) -> None:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("listen dagfleet_queue")
                # What was notified before this moment was missed.
                self._mailbox.post("resync")
                self._listen(connection, cursor)
        finally:
            connection.close()

    def _listen(self, connection: Any, cursor: Any) -> None:
        due = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= due:
                if self.epoch is None:
                    self._try(cursor)
                elif not self._renew(cursor):
                    logger.warning("Another process leads the queue now; this one stands by.")
                    return
                due = time.monotonic() + (TRY_SECONDS if self.epoch is None else RENEW_SECONDS)
            if not connection.notifies:
                select.select([connection], [], [], max(0.0, due - time.monotonic()))
                connection.poll()
            while connection.notifies:
                self._mailbox.post(connection.notifies.pop(0).payload)

    def _try(self, cursor: Any) -> None:
        cursor.execute("select pg_try_advisory_lock(%(lock)s)", {"lock": LOCK})
        if not cursor.fetchone()[0]:
            cursor.execute(_DEPOSE, {"lock": LOCK, "lease": LEASE_SECONDS})
            if cursor.rowcount:
                logger.warning("The queue's leader has not renewed its lease for %g s: taking over.",
                               LEASE_SECONDS)  # fmt: skip
            return
        cursor.execute(_LEAD, {"holder": holder(), "identity": self._identity})
        self._become(cursor.fetchone()[0])

    def _renew(self, cursor: Any) -> bool:
        cursor.execute(_RENEW, {"epoch": self.epoch})
        return bool(cursor.rowcount)

    def _become(self, epoch: int | None) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            self._mailbox.post("leader")

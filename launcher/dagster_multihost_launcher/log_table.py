"""The table that holds compute logs: batches of bytes, each at its position in the stream of a log key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from dagster_multihost_launcher.postgres_tokens import create_pg_engine

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

TABLE = "compute_log_batches"
# IF NOT EXISTS does not keep apart two sessions that create one name at once: one fails in the catalogue.
_LOCK_CREATION = f"SELECT pg_advisory_xact_lock(hashtext('{TABLE}'))"
SCHEMA = """
CREATE TABLE IF NOT EXISTS compute_log_batches (
    log_key text COLLATE "C" NOT NULL,
    stream text NOT NULL,
    position bigint NOT NULL,
    writer text NOT NULL,
    writer_end bigint NOT NULL,
    data bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_key, stream, position)
);
CREATE INDEX IF NOT EXISTS compute_log_batches_stored_at ON compute_log_batches USING brin (stored_at);
"""
_COMPLETE = "complete"
_UNDEFINED_TABLE = "42P01"
# A database that swallows packets is noticed in seconds: nothing waits for it longer than that.
_CONNECTION = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "application_name": "dagster compute logs"}

# The first condition makes an upload whose answer was lost count once. The primary key keeps apart two
# writers that read the same last position: one of them inserts nothing and tries again.
_APPEND = """
INSERT INTO compute_log_batches (log_key, stream, position, writer, writer_end, data)
SELECT :log_key, :stream, coalesce((
           SELECT position + octet_length(data) FROM compute_log_batches
           WHERE log_key = :log_key AND stream = :stream ORDER BY position DESC LIMIT 1
       ), 0), :writer, :end, :data
WHERE :start = coalesce((
    SELECT writer_end FROM compute_log_batches
    WHERE log_key = :log_key AND stream = :stream AND writer = :writer ORDER BY position DESC LIMIT 1
), 0)
ON CONFLICT DO NOTHING
"""
_COMPLETED = """
INSERT INTO compute_log_batches (log_key, stream, position, writer, writer_end, data)
VALUES (:log_key, 'complete', 0, :writer, 0, '') ON CONFLICT DO NOTHING
"""
_WRITER_ENDS = """
SELECT stream, max(writer_end) FROM compute_log_batches
WHERE log_key = :log_key AND writer = :writer GROUP BY stream
"""
_READ = """
SELECT wanted.stream, batch.position, batch.data
FROM unnest(CAST(:streams AS text[]), CAST(:starts AS bigint[])) AS wanted (stream, start)
JOIN compute_log_batches AS batch
  ON batch.log_key = :log_key AND batch.stream = wanted.stream
 AND batch.position >= coalesce((
         SELECT max(position) FROM compute_log_batches
         WHERE log_key = :log_key AND stream = wanted.stream AND position <= wanted.start
     ), 0)
 AND batch.position + octet_length(batch.data) > wanted.start
 AND (CAST(:max_bytes AS bigint) IS NULL OR batch.position < wanted.start + :max_bytes)
ORDER BY batch.stream, batch.position
"""
_HAS = "SELECT EXISTS (SELECT FROM compute_log_batches WHERE log_key = :log_key AND stream = :stream)"
_KEYS = """
SELECT DISTINCT log_key FROM compute_log_batches
WHERE log_key >= :first AND log_key < :beyond AND stream = :stream ORDER BY log_key
"""
_DELETE = "DELETE FROM compute_log_batches WHERE log_key = :log_key"
_DELETE_BELOW = "DELETE FROM compute_log_batches WHERE log_key >= :first AND log_key < :beyond"
_CLAIM_EXPIRY = """
INSERT INTO compute_log_batches (log_key, stream, position, writer, writer_end, data)
VALUES ('', 'expiry', 0, '', 0, '') ON CONFLICT (log_key, stream, position) DO UPDATE SET stored_at = now()
WHERE compute_log_batches.stored_at < now() - interval '1 hour'
"""
_EXPIRE = """
DELETE FROM compute_log_batches WHERE stored_at < now() - make_interval(days => :days) AND log_key <> ''
"""

T = TypeVar("T")


class OutOfStep(Exception):  # noqa: N818 - not a failure: the writer asks where it stands and goes on
    """What a writer appends does not follow on what the table has of it."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Bytes to append. `start` and `end` say which part of the writer's local file they stand for."""

    stream: str
    start: int
    end: int
    data: bytes


class LogTable:
    """Reads and appends, each in one short connection; building it does no I/O."""

    def __init__(
        self, url: str, *, create: bool = True, token_provider: "PgTokenProvider | None" = None
    ) -> None:
        asked = make_url(url).query
        self._engine: Engine = create_pg_engine(
            url,
            token_provider=token_provider,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={key: value for key, value in _CONNECTION.items() if key not in asked},
        )
        self._create = create

    def append(
        self, log_key: Sequence[str], writer: str, batches: Iterable[Batch], *, complete: bool = False
    ) -> None:
        """Append all batches in one transaction, and say that the capture is complete, if it is.

        Raises:
            OutOfStep: the table has less or more of this writer than the first batch follows on.
        """
        rows = [_row(log_key, writer, batch) for batch in batches]
        completed = {"log_key": key_text(log_key), "writer": writer}

        def work(connection: Connection) -> None:
            for row in rows:
                while not connection.execute(text(_APPEND), row).rowcount:
                    ends = _writer_ends(connection, log_key, writer)
                    if ends.get(row["stream"], 0) != row["start"]:
                        raise OutOfStep(f"{row['stream']} is stored to {ends}, not to {row['start']}")
            if complete:
                connection.execute(text(_COMPLETED), completed)

        self._run(work)

    def writer_ends(self, log_key: Sequence[str], writer: str) -> Mapping[str, int]:
        """Return how far each of the writer's local files is stored."""
        return self._run(lambda connection: _writer_ends(connection, log_key, writer))

    def read(
        self, log_key: Sequence[str], starts: Mapping[str, int], max_bytes: int | None = None
    ) -> Mapping[str, tuple[bytes | None, int]]:
        """Return for each stream what it has from its start on, at most `max_bytes`, and where that ends."""
        values = {
            "log_key": key_text(log_key),
            "streams": list(starts),
            "starts": list(starts.values()),
            "max_bytes": max_bytes,
        }
        rows = self._run(lambda connection: connection.execute(text(_READ), values).all())
        return {
            stream: _joined([(row[1], bytes(row[2])) for row in rows if row[0] == stream], start, max_bytes)
            for stream, start in starts.items()
        }

    def is_complete(self, log_key: Sequence[str]) -> bool:
        """Say whether a writer of this log key has stored its last batch."""
        return self.has(log_key, _COMPLETE)

    def has(self, log_key: Sequence[str], stream: str) -> bool:
        """Say whether the stream has any bytes."""
        values = {"log_key": key_text(log_key), "stream": stream}
        return bool(self._run(lambda connection: connection.execute(text(_HAS), values).scalar_one()))

    def keys_below(self, prefix: Sequence[str], stream: str) -> list[list[str]]:
        """Return the log keys that are one part longer than the prefix and have this stream."""
        values = {**_below(prefix), "stream": stream}
        found = self._run(lambda connection: connection.execute(text(_KEYS), values).scalars().all())
        keys = [[unquote(part) for part in key.split("/")] for key in found]
        return [key for key in keys if len(key) == len(prefix) + 1]

    def delete(self, log_key: Sequence[str]) -> None:
        """Delete one log key."""
        self._run(lambda connection: connection.execute(text(_DELETE), {"log_key": key_text(log_key)}))

    def delete_below(self, prefix: Sequence[str]) -> None:
        """Delete every log key that begins with the prefix."""
        self._run(lambda connection: connection.execute(text(_DELETE_BELOW), _below(prefix)))

    def expire(self, days: int) -> None:
        """Delete what is older, unless some writer did so within the hour."""
        if self._run(lambda connection: connection.execute(text(_CLAIM_EXPIRY)).rowcount):
            self._run(lambda connection: connection.execute(text(_EXPIRE), {"days": days}))

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except ProgrammingError as error:
            if not self._create or getattr(error.orig, "pgcode", None) != _UNDEFINED_TABLE:
                raise
        with self._engine.begin() as connection:
            connection.execute(text(_LOCK_CREATION))
            connection.execute(text(SCHEMA))
        with self._engine.begin() as connection:
            return work(connection)


def key_text(log_key: Sequence[str]) -> str:
    """Return a log key as the table has it: a path whose parts hold no slash of their own."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in log_key)


def _below(prefix: Sequence[str]) -> dict[str, str]:
    path = key_text(prefix)
    return {"first": f"{path}/", "beyond": f"{path}0"}  # 0 is the character after the slash


def _row(log_key: Sequence[str], writer: str, batch: Batch) -> dict[str, Any]:
    return {"log_key": key_text(log_key), "writer": writer, **vars(batch)}


def _writer_ends(connection: Connection, log_key: Sequence[str], writer: str) -> Mapping[str, int]:
    values = {"log_key": key_text(log_key), "writer": writer}
    return {stream: int(end) for stream, end in connection.execute(text(_WRITER_ENDS), values)}


def _joined(
    batches: Iterable[tuple[int, bytes]], start: int, max_bytes: int | None
) -> tuple[bytes | None, int]:
    found, end = bytearray(), start
    for position, data in batches:
        room = None if max_bytes is None else max_bytes - len(found)
        piece = data[max(0, start - position) :][:room]
        found += piece
        end = max(position, start) + len(piece)
    return bytes(found) or None, end

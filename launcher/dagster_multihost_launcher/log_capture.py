"""One capture: local files of its own, and the thread that takes what is new in them to the table."""

import fcntl
import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO

from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager

from dagster_multihost_launcher.log_file import Cap, new_batches
from dagster_multihost_launcher.log_table import LogTable

logger = logging.getLogger("dagster.multihost_launcher")

_RECORD = "capture.json"
_BATCHES_PER_TRANSACTION = 8
_RETRY_SECONDS = 5
_MOST_DELAY_OF_A_STEP = 10


@dataclass(frozen=True, kw_only=True)
class Uploading:
    """Where captures go and how. `interval` None: only when a capture ends."""

    table: LogTable
    folder: Path
    interval: float | None
    cap: Cap
    retention_days: int | None = None


class Capture:
    """The local files of one writer of one log key; nobody else writes to its folder.

    The lock on its record lasts as long as its process: who gets the lock of a record has found the logs
    of a process that died or could not reach the database.
    """

    def __init__(
        self,
        uploading: Uploading,
        log_key: Sequence[str],
        *,
        record: IO[str],
        folder: Path,
        ends: Mapping[str, int] | None,
    ) -> None:
        self.log_key = log_key
        self.local = LocalComputeLogManager(str(folder))
        self._uploading = uploading
        self._record = record
        self._folder = folder
        self._ends = ends
        self._stores_if_empty = True
        self._thread = threading.Thread(target=self._work, name="compute-log-upload", daemon=True)
        self._wake = threading.Event()
        self._closed = False
        self._tried_to_finish = threading.Event()
        self._failing = False

    @classmethod
    def begin(cls, uploading: Uploading, log_key: Sequence[str]) -> "Capture":
        """Make the folder of a new capture and start its thread."""
        folder = uploading.folder / uuid.uuid4().hex
        uploading.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir()
        unlocked = folder / "new"
        record = unlocked.open("w", encoding="utf-8")
        json.dump({"log_key": list(log_key)}, record)
        record.flush()
        fcntl.flock(record, fcntl.LOCK_EX)
        unlocked.rename(folder / _RECORD)
        capture = cls(uploading, log_key, record=record, folder=folder, ends={})
        capture._thread.start()
        return capture

    def path(self, io_type: ComputeIOType) -> Path:
        """Return the local file of one stream."""
        return Path(self.local.get_captured_local_path(self.log_key, IO_TYPE_EXTENSION[io_type]))

    def upload_soon(self) -> None:
        """Upload now instead of at the next interval."""
        self._wake.set()

    def end(self, *, store_if_empty: bool = True) -> None:
        """Upload the rest. A database that is away delays the caller by seconds at most and raises nothing.

        The thread goes on trying while the process lives. After that the files stay where they are, and the
        next capture in this local_dir uploads them.
        """
        self._stores_if_empty = store_if_empty
        self._closed = True
        self._wake.set()
        if not self._tried_to_finish.wait(_MOST_DELAY_OF_A_STEP):
            logger.warning("PostgreSQL does not answer: compute logs stay in %s until it does.", self._folder)

    def try_once_more(self) -> None:
        """Upload what is left now, and wait until that is done or has failed."""
        self._tried_to_finish.clear()
        self._wake.set()
        self._tried_to_finish.wait(_MOST_DELAY_OF_A_STEP)

    @property
    def is_waiting(self) -> bool:
        """Whether the capture has ended and the database was away."""
        return self._closed and not self.is_stored

    @property
    def is_stored(self) -> bool:
        """Whether everything is in the table and nothing is left here."""
        return self._record.closed

    def _work(self) -> None:
        self._housekeeping()
        while not self.is_stored:
            closed = self._closed
            if not closed:
                self._wake.wait(self._uploading.interval)
                self._wake.clear()
                closed = self._closed
            self._try(finished=closed)
            if closed:
                self._tried_to_finish.set()
                if not self.is_stored:
                    self._wake.wait(_RETRY_SECONDS)
                    self._wake.clear()

    def _housekeeping(self) -> None:
        try:
            for left in _left_behind(self._uploading):
                left._upload(finished=True)
            if self._uploading.retention_days:
                self._uploading.table.expire(self._uploading.retention_days)
        except Exception as error:
            logger.warning("Compute logs of earlier captures wait: %s", _cause(error))

    def _try(self, *, finished: bool) -> None:
        try:
            self._upload(finished=finished)
        except Exception as error:
            self._ends = None
            if not self._failing:
                logger.warning("Compute logs stay in %s for now: %s", self._folder, _cause(error))
            self._failing = True
        else:
            self._failing = False

    def _upload(self, *, finished: bool) -> None:
        table, writer = self._uploading.table, self._folder.name
        if self._ends is None:
            self._ends = table.writer_ends(self.log_key, writer)
        ends = dict(self._ends)
        new = chain.from_iterable(
            new_batches(
                self.path(io_type),
                extension,
                ends.get(extension, 0),
                cap=self._uploading.cap,
                finished=finished,
            )
            for io_type, extension in IO_TYPE_EXTENSION.items()
        )
        more = True
        while more:
            batches = list(islice(new, _BATCHES_PER_TRANSACTION))
            more = len(batches) == _BATCHES_PER_TRANSACTION
            complete = finished and not more and (self._stores_if_empty or bool(batches or ends))
            if batches or complete:
                table.append(self.log_key, writer, batches, complete=complete)
            ends |= {batch.stream: batch.end for batch in batches}
            self._ends = dict(ends)
        if finished:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._record.close()


def _left_behind(uploading: Uploading) -> Iterator[Capture]:
    for path in uploading.folder.glob(f"*/{_RECORD}"):
        try:
            record = path.open(encoding="utf-8")
        except OSError:
            continue
        with record:
            try:
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if os.path.lexists(path):
                log_key = json.load(record)["log_key"]
                yield Capture(uploading, log_key, record=record, folder=path.parent, ends=None)


def _cause(error: Exception) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

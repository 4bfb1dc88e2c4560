"""Compute logs in PostgreSQL, so that the web UI shows what steps print on every host."""

import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from dagster import DagsterInstance, Field, IntSource, Noneable, StringSource
from dagster import _check as check
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.cloud_storage_compute_log_manager import CloudStorageComputeLogManager
from dagster._core.storage.compute_log_manager import (
    CapturedLogContext,
    CapturedLogData,
    CapturedLogSubscription,
    ComputeIOType,
)
from dagster._core.storage.config import pg_config
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres.utils import pg_url_from_config

from dagster_multihost_launcher.live_tail import LiveTail, Watch
from dagster_multihost_launcher.log_capture import Capture, Uploading
from dagster_multihost_launcher.log_file import Cap
from dagster_multihost_launcher.log_table import TABLE, LogTable, key_text
from dagster_multihost_launcher.postgres_tokens import get_token_provider_from_config

DEFAULT_UPLOAD_INTERVAL = 5
DEFAULT_MAX_LOG_BYTES = 10 * 1024 * 1024
_LIVE_TAIL_SECONDS = 2.0
_DOWNLOADS_KEPT = 16

_OUT = IO_TYPE_EXTENSION[ComputeIOType.STDOUT]
_ERR = IO_TYPE_EXTENSION[ComputeIOType.STDERR]


class PostgresComputeLogManager(CloudStorageComputeLogManager[DagsterInstance], ConfigurableClass):
    """Captures stdout and stderr in local files and appends what is new to a table in PostgreSQL.

    In `dagster.yaml`:

    ```yaml
    compute_logs:
      module: dagster_multihost_launcher
      class: PostgresComputeLogManager
      config:
        postgres_url: postgresql://dagster@db.example.com/dagster
    ```

    The password may come from libpq's own sources (`PGPASSFILE`). Building it does no I/O: the first
    statement that finds no table creates it, unless `should_autocreate_tables` is false (`log_table.SCHEMA`
    is then what a person has to execute). A database that is away fails no step and delays its end by ten
    seconds at most: the logs stay in `local_dir` and are uploaded when it answers, if need be by the next
    capture in that folder. Every process that captures logs loads this class, so images of code locations
    need this package too.
    """

    def __init__(
        self,
        table: LogTable,
        *,
        local_dir: str | None = None,
        upload_interval: int | None = DEFAULT_UPLOAD_INTERVAL,
        max_log_bytes: int = DEFAULT_MAX_LOG_BYTES,
        retention_days: int | None = None,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        base = Path(local_dir or Path(tempfile.gettempdir()) / f"dagster-compute-logs-{os.getuid()}")
        self._inst_data = inst_data
        self._table = table
        self._upload_interval = upload_interval or None
        self._uploading = Uploading(
            table=table,
            folder=base / "captures",
            interval=self._upload_interval,
            cap=Cap(max_log_bytes),
            retention_days=retention_days,
        )
        self._captures: set[Capture] = set()
        self._downloads = deque[Path]()
        self._lock = threading.Lock()
        self._download_folder = base / "downloads"

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """The configuration this was loaded from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the reference's keys, and `retention_days`."""
        return {
            **check.is_dict(pg_config()),
            "local_dir": Field(
                Noneable(StringSource),
                is_required=False,
                description="Where logs are captured before they are uploaded; default: under /tmp.",
            ),
            "upload_interval": Field(
                Noneable(IntSource),
                is_required=False,
                default_value=DEFAULT_UPLOAD_INTERVAL,
                description="Seconds between uploads while a step runs; 0 or null: only at its end.",
            ),
            "max_log_bytes": Field(
                IntSource,
                is_required=False,
                default_value=DEFAULT_MAX_LOG_BYTES,
                description="Most bytes stored of one stream: its beginning and its end. 0: no limit.",
            ),
            "retention_days": Field(
                Noneable(IntSource),
                is_required=False,
                description="Delete compute logs that are older; absent, null or 0: keep them for ever.",
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "PostgresComputeLogManager":  # no Self: images have Python 3.10, too
        """Build it from validated configuration."""
        config = dict(config_value)
        provider = get_token_provider_from_config(config)
        url = pg_url_from_config(config)
        for key in ("postgres_url", "postgres_db", "auth_provider"):
            config.pop(key, None)
        create = config.pop("should_autocreate_tables", True)
        return cls(LogTable(url, create=create, token_provider=provider), inst_data=inst_data, **config)

    @cached_property
    def local_manager(self) -> LocalComputeLogManager:
        """The local files that the web server sends as downloads."""
        return LocalComputeLogManager(str(self._download_folder))

    @property
    def upload_interval(self) -> int | None:
        """Seconds between two uploads of a capture; None: only at its end."""
        return self._upload_interval

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Capture this process's stdout and stderr, however the block ends."""
        with self._capturing(log_key) as capture, capture.local.capture_logs(log_key) as context:
            yield context

    @contextmanager
    def open_log_stream(self, log_key: Sequence[str], io_type: ComputeIOType) -> Iterator[IO[Any] | None]:
        """Open a stream to append to; it leaves no trace if nothing is written."""
        with (
            self._capturing(log_key, store_if_empty=False) as capture,
            capture.local.open_log_stream(log_key, io_type) as stream,
        ):
            yield stream

    def is_capture_complete(self, log_key: Sequence[str]) -> bool:
        """Say whether all of a capture is in the table."""
        return self._table.is_complete(log_key)

    def get_log_data(
        self, log_key: Sequence[str], cursor: str | None = None, max_bytes: int | None = None
    ) -> CapturedLogData:
        """Return both streams from the cursor on, with one statement."""
        out, err = self.parse_cursor(cursor)
        found = self._table.read(log_key, {_OUT: out, _ERR: err}, max_bytes)
        (stdout, out_end), (stderr, err_end) = found[_OUT], found[_ERR]
        return CapturedLogData(log_key, stdout, stderr, self.build_cursor(out_end, err_end))

    def get_log_data_for_type(
        self, log_key: Sequence[str], io_type: ComputeIOType, offset: int, max_bytes: int | None
    ) -> tuple[bytes | None, int]:
        """Return one stream from the offset on, and where that ends."""
        stream = IO_TYPE_EXTENSION[io_type]
        return self._table.read(log_key, {stream: offset or 0}, max_bytes)[stream]

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: Sequence[str], io_type: ComputeIOType
    ) -> Sequence[list[str]]:
        """Return the log keys right below the prefix that have this stream."""
        return self._table.keys_below(log_key_prefix, IO_TYPE_EXTENSION[io_type])

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        """Delete one log key, or all that begin with the prefix."""
        if log_key:
            self._table.delete(log_key)
        elif prefix:
            self._table.delete_below(prefix)
        else:
            check.failed("Must pass in either `log_key` or `prefix` argument to delete_logs")

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Return the web server's path of a download."""
        return "/".join(["/logs", *log_key, IO_TYPE_EXTENSION[io_type]])

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Return where a stream is, for people."""
        return f"{key_text(log_key)} {IO_TYPE_EXTENSION[io_type]} in PostgreSQL's table {TABLE}"

    def cloud_storage_has_logs(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> bool:
        """Say whether the table has any of this stream, be it complete or not."""
        del partial
        return self._table.has(log_key, IO_TYPE_EXTENSION[io_type])

    def has_local_file(self, log_key: Sequence[str], io_type: ComputeIOType) -> bool:
        """Say no: a local file is only what some download has found until then."""
        del log_key, io_type
        return False

    def upload_to_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Make this process's captures of the log key upload now instead of at their next interval."""
        del io_type, partial
        with self._lock:
            captures = [capture for capture in self._captures if list(capture.log_key) == list(log_key)]
        for capture in captures:
            capture.upload_soon()

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Write what the table has into a local file for the web server, and forget the oldest such file."""
        del partial
        extension = IO_TYPE_EXTENSION[io_type]
        data, _ = self._table.read(log_key, {extension: 0})[extension]
        target = Path(self.local_manager.get_captured_local_path(log_key, extension))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(data or b"")
        Path(file.name).replace(target)
        with self._lock:
            if target not in self._downloads:
                self._downloads.append(target)
            if len(self._downloads) > _DOWNLOADS_KEPT:
                self._downloads.popleft().unlink(missing_ok=True)

    def subscribe(self, log_key: Sequence[str], cursor: str | None = None) -> CapturedLogSubscription:
        """Watch a capture; the web server calls this on its event loop, so it does no I/O."""
        watch = Watch(self, log_key, cursor)
        self._live_tail.add(watch)
        return watch

    def unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """Watch no more."""
        self._live_tail.remove(subscription)

    def dispose(self) -> None:
        """Stop the live tail, and try once more to upload what could not be uploaded."""
        self._live_tail.stop()
        with self._lock:
            waiting = [capture for capture in self._captures if capture.is_waiting]
        for capture in waiting:
            capture.try_once_more()

    @cached_property
    def _live_tail(self) -> LiveTail:
        return LiveTail(self, _LIVE_TAIL_SECONDS)

    @contextmanager
    def _capturing(self, log_key: Sequence[str], *, store_if_empty: bool = True) -> Iterator[Capture]:
        capture = Capture.begin(self._uploading, log_key)
        with self._lock:
            self._captures = {known for known in self._captures if not known.is_stored} | {capture}
        try:
            yield capture
        finally:
            capture.end(store_if_empty=store_if_empty)

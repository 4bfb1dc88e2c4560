"""Which parts of a growing local log file are stored: all up to a cap, then its end and what was cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dagster_multihost_launcher.log_table import Batch

_BATCH_BYTES = 1024 * 1024
_MOST_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Cap:
    """The most bytes that a stream of a capture takes; 0 for any number.

    The last part is kept for the end of the log, where a failure tells its cause.
    """

    max_bytes: int

    @property
    def tail(self) -> int:
        """How much of the end is stored if the log is too long."""
        return min(_MOST_TAIL_BYTES, max(1, self.max_bytes // 4))

    @property
    def head(self) -> int:
        """How much of the beginning is stored while the step runs."""
        return self.max_bytes - self.tail


def new_batches(path: Path, stream: str, start: int, *, cap: Cap, finished: bool) -> Iterator[Batch]:
    """Yield what is to be stored after the file's first `start` bytes.

    Until the file is finished, a character that is not yet whole is left for the next time.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        size = file.seek(0, 2)
        limit = min(size, cap.head) if cap.max_bytes else size
        while start < limit:
            batch = _next(file, stream, start, limit, whole=finished or limit < size)
            if batch is None:
                return
            yield batch
            start = batch.end
        if start < size and limit < size:
            yield from _beyond_head(file, stream, start, size, cap=cap, finished=finished)


def _next(file: BinaryIO, stream: str, start: int, limit: int, *, whole: bool) -> Batch | None:
    file.seek(start)
    data = file.read(min(_BATCH_BYTES, limit - start))
    end = start + len(data)
    if end == limit and not whole:
        data = _whole_characters(data)
        end = start + len(data)
    return Batch(stream=stream, start=start, end=end, data=data) if data else None


def _beyond_head(
    file: BinaryIO, stream: str, start: int, size: int, *, cap: Cap, finished: bool
) -> Iterator[Batch]:
    too_long = size > cap.max_bytes
    if finished:
        begin = max(start, size - cap.tail)
        file.seek(begin)
        data = file.read(size - begin)
        if too_long:
            data = _from_a_line_start(data)
            data = _line(f"{size - len(data) - cap.head:,} bytes are not stored", cap) + data
        yield Batch(stream=stream, start=start, end=size, data=data)
    elif too_long and start == cap.head:
        line = _line(f"of what follows, the last {cap.tail:,} bytes are stored when the step ends", cap)
        yield Batch(stream=stream, start=start, end=start + 1, data=line)


def _line(fact: str, cap: Cap) -> bytes:
    return f"\n[cut here: {fact}; max_log_bytes is {cap.max_bytes:,}]\n".encode()


def _from_a_line_start(data: bytes) -> bytes:
    _, newline, rest = data.partition(b"\n")
    return rest if newline and rest else data


def _whole_characters(data: bytes) -> bytes:
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return data[:-back] if length > back else data
    return data

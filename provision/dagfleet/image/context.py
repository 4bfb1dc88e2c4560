"""Build contexts as archives that depend on content alone, so that Docker's layer cache hits everywhere."""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dagfleet.paths import cache

_DATE = 946684800  # 2000-01-01: a wheel's format knows no earlier date than 1980


@contextmanager
def build_context(entries: Mapping[str, Path | bytes]) -> Iterator[IO[bytes]]:
    """Give an open archive of `entries`: from the name in it to a content, a file or a whole folder."""
    folder = cache() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        write_archive(file, entries)
        file.seek(0)
        yield file


def write_archive(file: IO[bytes], entries: Mapping[str, Path | bytes]) -> None:
    """Write a tar archive of `entries`, sorted, of one date and owner, with modes 0644 or 0755."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, source in sorted(entries.items()):
            if isinstance(source, bytes):
                archive.addfile(_entry(name, size=len(source)), io.BytesIO(source))
            elif source.is_dir():
                archive.addfile(_entry(name, directory=True))
                for path in sorted(source.rglob("*")):
                    _add(archive, f"{name}/{path.relative_to(source)}", path)
            else:
                _add(archive, name, source)


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    if path.is_dir():
        archive.addfile(_entry(name, directory=True))
    else:
        with path.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            archive.addfile(_entry(name, size=size, executable=os.access(path, os.X_OK)), content)


def _entry(name: str, *, size: int = 0, executable: bool = False, directory: bool = False) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    entry.size = size
    entry.mode = 0o755 if directory or executable else 0o644
    entry.mtime = _DATE
    entry.uname = entry.gname = "root"
    return entry

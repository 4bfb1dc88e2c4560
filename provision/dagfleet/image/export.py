"""An image as Docker exports it, on disk, to stream archives from that hold only some of its layers."""

import json
import posixpath
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from dagfleet.paths import cache

if TYPE_CHECKING:
    from docker import DockerClient

_MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ExportedImage:
    """The export of one image; `layers` are the names of its layers' archives, lowest first, with repeats."""

    archive: tarfile.TarFile
    manifest: bytes
    config: str
    layers: tuple[str, ...]

    def size(self, layers: Collection[int]) -> int:
        """Return how many bytes `stream` gives for the same layers."""
        return sum(map(_padded, self._sizes(layers))) + 2 * tarfile.BLOCKSIZE

    def stream(self, layers: Collection[int]) -> Iterator[bytes]:
        """Yield an archive for `docker load` that describes the whole image and holds only `layers` of it."""
        yield from _member(_MANIFEST, len(self.manifest), iter([self.manifest]))
        for name in self._names(layers):
            with _open(self.archive, name) as content:
                yield from _member(name, _length(content), _chunks(content))
        yield b"\0" * (2 * tarfile.BLOCKSIZE)

    def _names(self, layers: Collection[int]) -> list[str]:
        # Equal layers (empty ones, mostly) share one archive.
        return [self.config, *dict.fromkeys(self.layers[index] for index in sorted(layers))]

    def _sizes(self, layers: Collection[int]) -> Iterator[int]:
        yield len(self.manifest)
        for name in self._names(layers):
            with _open(self.archive, name) as content:
                yield _length(content)


class Exports:
    """Exports of an engine's images, on disk until `close`: each is made once, for all hosts that want it."""

    def __init__(self, client: "DockerClient") -> None:
        self._client = client
        folder = cache() / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self._turn = Lock()
        self._files: dict[str, Path] = {}

    @contextmanager
    def image(self, reference: str) -> Iterator[ExportedImage]:
        """Give the export of an image; several threads may read it at once, each through its own context."""
        with self._turn:
            if reference not in self._files:
                self._files[reference] = self._export(reference)
        with tarfile.open(self._files[reference]) as archive:
            with _open(archive, _MANIFEST) as content:
                (manifest,) = json.load(content)
            yield _exported(archive, manifest)

    def close(self) -> None:
        """Remove them."""
        self._folder.cleanup()

    def _export(self, reference: str) -> Path:
        path = Path(self._folder.name) / str(len(self._files))
        with path.open("wb") as file:
            for chunk in self._client.api.get_image(reference, chunk_size=_CHUNK):
                file.write(chunk)
        return path


def _exported(archive: tarfile.TarFile, manifest: dict[str, Any]) -> ExportedImage:
    layers = tuple(_own_name(archive, name) for name in manifest["Layers"])
    return ExportedImage(
        archive=archive,
        manifest=json.dumps([{**manifest, "Layers": layers}]).encode(),
        config=manifest["Config"],
        layers=layers,
    )


def _own_name(archive: tarfile.TarFile, name: str) -> str:
    """Return the name that a layer has its bytes under: Docker 20.10 writes repeats as links to the first."""
    member = archive.getmember(name)
    return (
        posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        if member.issym()
        else name
    )


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(name)
    if content is None:
        raise tarfile.ReadError(f"{name} in the image's export is not a file")
    return content


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK):
        yield chunk


def _length(content: IO[bytes]) -> int:
    end = content.seek(0, 2)
    content.seek(0)
    return end


def _padded(size: int) -> int:
    return tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE


def _member(name: str, size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = size
    yield header.tobuf(tarfile.GNU_FORMAT)
    yield from chunks
    yield b"\0" * (-size % tarfile.BLOCKSIZE)

"""An export can be streamed without some of its layers, and still describes all of them."""

import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from dagfleet.image.export import ExportedImage, Exports

pytestmark = pytest.mark.usefixtures("cache")
LAYERS = [b"lowest" * 400, b"", b"top" * 1000]


class Engine:
    """Exports one image the way dockerd 20.10 does: a repeated layer is a link, the manifest comes last."""

    def __init__(self) -> None:
        self.api = self

    def get_image(self, _reference: str, chunk_size: int) -> Iterator[bytes]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            names = []
            for index, content in enumerate(LAYERS):
                names.append(f"{index:064x}/layer.tar")
                self._add(archive, names[-1], content)
            repeat = tarfile.TarInfo(f"{9:064x}/layer.tar")
            repeat.type, repeat.linkname = tarfile.SYMTYPE, f"../{names[0]}"
            archive.addfile(repeat)
            names.append(repeat.name)
            self._add(archive, "abc.json", b'{"rootfs": {}}')
            manifest = [{"Config": "abc.json", "RepoTags": ["etl:1"], "Layers": names}]
            self._add(archive, "manifest.json", json.dumps(manifest).encode())
        content = file.getvalue()
        for start in range(0, len(content), 1000):
            yield content[start : start + min(1000, chunk_size)]

    def _add(self, archive: tarfile.TarFile, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def image() -> Iterator[ExportedImage]:
    engine: Any = Engine()
    with closing(Exports(engine)) as exports, exports.image("etl:1") as found:
        yield found


def unpacked(image: ExportedImage, layers: list[int]) -> dict[str, bytes]:
    stream = b"".join(image.stream(layers))
    assert len(stream) == image.size(layers)
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        return {member.name: content(archive, member) for member in archive}


def content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def test_the_whole_image_is_complete(image: ExportedImage) -> None:
    files = unpacked(image, [0, 1, 2, 3])

    (manifest,) = json.loads(files["manifest.json"])
    assert [files[name] for name in manifest["Layers"]] == [*LAYERS, LAYERS[0]]
    assert files[manifest["Config"]] == b'{"rootfs": {}}'
    assert manifest["RepoTags"] == ["etl:1"]


def test_layers_left_out_are_named_and_not_sent(image: ExportedImage) -> None:
    files = unpacked(image, [2])

    (manifest,) = json.loads(files["manifest.json"])
    assert len(manifest["Layers"]) == 4
    assert sorted(files) == sorted(["abc.json", "manifest.json", manifest["Layers"][2]])


def test_a_repeated_layer_is_sent_once(image: ExportedImage) -> None:
    files = unpacked(image, [0, 3])

    assert list(files.values()).count(LAYERS[0]) == 1


def test_hosts_that_lack_the_same_image_share_one_export(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = Engine()
    asked, ask = [], engine.get_image

    def counting(*arguments: Any, **options: Any) -> Iterator[bytes]:
        asked.append(arguments)
        return ask(*arguments, **options)

    monkeypatch.setattr(engine, "get_image", counting)

    def send(_host: int) -> bytes:
        with exports.image("etl:1") as image:
            return b"".join(image.stream([0, 1, 2, 3]))

    with closing(Exports(engine)) as exports, ThreadPoolExecutor() as pool:
        streams = list(pool.map(send, range(4)))
    assert len(asked) == 1
    assert len(set(streams)) == 1
    assert len(streams[0]) > 0

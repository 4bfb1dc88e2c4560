"""Engines that do not skip known layers, or take nothing at all. The real ones are in tests/docker."""

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image import push
from docker.errors import ImageNotFound

pytestmark = pytest.mark.usefixtures("cache")
BASE, TOP = b"base" * 4000, b"top"


class Image:
    def __init__(self, identifier: str, layers: list[str], architecture: str = "amd64") -> None:
        self.id = identifier
        self.attrs = {
            "RootFS": {"Layers": layers},
            "Config": {"Cmd": ["dagster"]},
            "Created": identifier,
            "Architecture": architecture,
        }


class Engine:
    """An engine that knows only what a push asks of it; `takes` decides which archives it loads."""

    base_url = "tcp://beta:2376"

    def __init__(self, images: dict[str, Image], *, takes: Any = None) -> None:
        self.api = self.images = self
        self._images = images
        self._takes = takes
        self.loads: list[list[str]] = []

    def get(self, reference: str) -> Image:
        if reference not in self._images:
            raise ImageNotFound(reference)
        return self._images[reference]

    def list(self) -> "list[Image]":
        return [*self._images.values()]

    def version(self) -> dict[str, str]:
        return {"Arch": "amd64"}

    def get_image(self, _reference: str, chunk_size: int) -> Iterator[bytes]:
        file = io.BytesIO()
        manifest = json.dumps([{"Config": "c.json", "Layers": ["base.tar", "top.tar"]}]).encode()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in {
                "base.tar": BASE,
                "top.tar": TOP,
                "c.json": b"{}",
                "manifest.json": manifest,
            }.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        assert chunk_size > 0
        yield file.getvalue()

    def load_image(self, data: Iterator[bytes], *, quiet: bool) -> Iterator[dict[str, str]]:
        with tarfile.open(fileobj=io.BytesIO(b"".join(data))) as archive:
            self.loads.append([name for name in archive.getnames() if name.endswith(".tar")])
        assert not quiet
        loaded = self._takes(self.loads[-1])
        if isinstance(loaded, Image):
            self._images["etl:1"] = loaded
        else:
            yield {"error": loaded}


WANTED = Image("sha256:wanted", ["base", "top"])
OLDER = Image("sha256:older", ["base", "old top"])
WHOLE = ["base.tar", "top.tar"]


def pushed(target: Engine, source: Engine | None = None) -> Any:
    clients: Any = (source or Engine({"etl:1": WANTED}), target)
    return push("etl:1", *clients)


def test_an_engine_that_skips_known_layers_gets_the_others() -> None:
    target = Engine({"etl:0": OLDER}, takes=lambda _layers: WANTED)

    result = pushed(target)

    assert target.loads == [["top.tar"]]
    assert (result.layers_sent, result.layers_total) == (1, 2)


@pytest.mark.parametrize("outcome", ["no such file: base.tar", Image("sha256:strange", ["base", "other"])])
def test_an_engine_that_refuses_or_gets_it_wrong_is_sent_everything(outcome: "str | Image") -> None:
    target = Engine({"etl:0": OLDER}, takes=lambda layers: WANTED if layers == WHOLE else outcome)

    result = pushed(target)

    assert target.loads == [["top.tar"], WHOLE]
    assert result.layers_sent == 2
    assert result.bytes_sent > len(BASE)


def test_an_image_store_that_names_images_otherwise_is_believed_by_content() -> None:
    renamed = Image("sha256:manifest", ["base", "top"])
    renamed.attrs["Created"] = WANTED.attrs["Created"]
    target = Engine({}, takes=lambda _layers: renamed)

    assert pushed(target).layers_sent == 2
    assert pushed(target).bytes_sent == 0


def test_an_engine_that_takes_nothing_is_named_with_its_reason() -> None:
    target = Engine({}, takes=lambda _layers: "no space left on device")

    with pytest.raises(
        DagfleetError, match=r"etl:1 was sent, but tcp://beta:2376 .*: no space left on device"
    ):
        pushed(target)
    assert target.loads == [WHOLE]


def test_an_image_for_other_processors_is_not_sent() -> None:
    target = Engine({}, takes=lambda _layers: WANTED)

    with pytest.raises(ConfigurationError, match="etl:1 is for arm64, tcp://beta:2376 runs amd64"):
        pushed(target, Engine({"etl:1": Image("sha256:arm", ["base", "top"], "arm64")}))
    assert target.loads == []


def test_an_image_named_by_digest_is_not_sent() -> None:
    clients: Any = (Engine({}), Engine({}))

    with pytest.raises(ConfigurationError, match="named by digest"):
        push("etl@sha256:00", *clients)

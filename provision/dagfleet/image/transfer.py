"""Sending an image from one Docker to another without a registry: only the layers that are missing there."""

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image.export import ExportedImage, Exports

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

PushProgress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What a push sent: bytes over the wire, and how many of the image's layers."""

    bytes_sent: int
    layers_sent: int
    layers_total: int


class _LoadRefusedError(Exception):
    """The target's engine did not take what it was given."""


def push(
    reference: str,
    source_client: "DockerClient",
    target_client: "DockerClient",
    progress: PushProgress | None = None,
    exports: Exports | None = None,
) -> PushResult:
    """Make `target_client` have the image `reference` as `source_client` has it; return what that took.

    dockerd skips the files of layers it has (seen with 20.10 and overlay2), so those are left out. An engine
    that does not is sent the whole image. `progress` is called with the bytes sent and the bytes to send.
    `exports` are the source's, where one image goes to several targets.
    Raises ConfigurationError when the source lacks the image, DagfleetError when the target ends up with
    another one.
    """
    wanted = _source_image(reference, source_client)
    chain = _chain(wanted)
    if _same(wanted, _image(reference, target_client)):
        return PushResult(bytes_sent=0, layers_sent=0, layers_total=len(chain))
    _require_same_platform(reference, wanted, target_client)
    missing = _missing(chain, target_client)
    with (
        closing(Exports(source_client)) if exports is None else nullcontext(exports) as found,
        found.image(reference) as image,
    ):
        every = range(len(chain))
        sent = 0
        for layers in (missing, every) if len(missing) < len(chain) else (every,):
            stream = _Counted(image, layers, progress)
            try:
                _load(stream, target_client)
                refusal = ""
            except _LoadRefusedError as error:
                refusal = f": {error}"
            sent += stream.sent
            if not refusal and _same(wanted, _image(reference, target_client)):
                return PushResult(bytes_sent=sent, layers_sent=len(layers), layers_total=len(chain))
    raise DagfleetError(
        f"{reference} was sent, but {target_client.api.base_url} does not have the same image now{refusal}",
        fix="look at that engine's log and its free space, then try again",
    )


class _Counted:
    """The bytes of an export, counted as they are sent."""

    def __init__(
        self, image: ExportedImage, layers: "list[int] | range", progress: PushProgress | None
    ) -> None:
        self._image = image
        self._layers = layers
        self._progress = progress
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        total = self._image.size(self._layers)
        for chunk in self._image.stream(self._layers):
            yield chunk
            self.sent += len(chunk)
            if self._progress:
                self._progress(self.sent, total)


def _load(stream: _Counted, client: "DockerClient") -> None:
    from docker.errors import APIError

    api: Any = client.api
    try:
        for event in api.load_image(iter(stream), quiet=False):
            if "error" in event:
                raise _LoadRefusedError(event["error"])
    except APIError as error:
        raise _LoadRefusedError(str(error.explanation or error)) from error


def _missing(chain: tuple[str, ...], client: "DockerClient") -> list[int]:
    """Return the layers, by index, that no image on the engine shares with everything below them."""
    have = {
        known[: height + 1]
        for known in (_chain(image) for image in client.images.list())
        for height in range(len(known))
    }
    return [index for index in range(len(chain)) if chain[: index + 1] not in have]


def _source_image(reference: str, client: "DockerClient") -> "Image":
    if "@" in reference:
        raise ConfigurationError(
            f"{reference} is named by digest, which only a registry can give to an image",
            fix="name it by a tag, or let the hosts pull it",
        )
    image = _image(reference, client)
    if image is None:
        raise ConfigurationError(
            f"this machine's Docker has no image {reference}", fix="build or pull it first"
        )
    return image


def _image(reference: str, client: "DockerClient") -> "Image | None":
    from docker.errors import ImageNotFound

    try:
        return client.images.get(reference)
    except ImageNotFound:
        return None


def _chain(image: "Image") -> tuple[str, ...]:
    return tuple(image.attrs["RootFS"].get("Layers") or ())


def _same(wanted: "Image", found: "Image | None") -> bool:
    if found is None:
        return False
    # The containerd image store names an image by its manifest, not its configuration.
    return wanted.id == found.id or _essence(wanted) == _essence(found)


def _essence(image: "Image") -> tuple[tuple[str, ...], Any, str]:
    settings: dict[str, Any] = image.attrs["Config"] or {}
    return _chain(image), {key: value for key, value in settings.items() if value}, image.attrs["Created"]


def _require_same_platform(reference: str, image: "Image", client: "DockerClient") -> None:
    has = client.version()["Arch"]
    if image.attrs["Architecture"] != has:
        raise ConfigurationError(
            f"{reference} is for {image.attrs['Architecture']}, {client.api.base_url} runs {has}",
            fix="build it on a machine of the same architecture",
        )

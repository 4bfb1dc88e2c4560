"""Building an image with the classic builder, from a context made here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image.context import build_context
from dagfleet.image.target import Architecture, architecture

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]
CONTENT_LABEL = "dagfleet.content"
_SECONDS = 900  # between two lines of the builder; compiling and committing a large layer prints none
_LAST_LINES = 8


def has_content(client: "DockerClient", reference: str, digest: str) -> bool:
    """Tell whether the engine has `reference`, built from the content that `digest` names."""
    from docker.errors import ImageNotFound

    try:
        labels = client.images.get(reference).labels
    except ImageNotFound:
        return False
    return labels.get(CONTENT_LABEL) == digest


def engine_architecture(client: "DockerClient") -> Architecture:
    """Return the processor architecture that the engine builds for."""
    return architecture(str(client.version()["Arch"]))


def build(
    client: "DockerClient",
    reference: str,
    context: Mapping[str, Path | bytes],
    *,
    arguments: Mapping[str, str],
    digest: str,
    progress: Progress | None = None,
) -> None:
    """Build `reference`, labelled with `digest`; raise DagfleetError with the builder's own last lines.

    `context` needs a `Dockerfile`, whose base image is the argument `BASE`. `progress` is called with each
    line that the builder prints.
    """
    from docker.errors import APIError

    if "BASE" in arguments:
        _require_base(client, arguments["BASE"])
    lines: list[str] = []
    with build_context(context) as archive:
        try:
            events = client.api.build(
                fileobj=archive, custom_context=True, tag=reference, buildargs=dict(arguments),
                labels={CONTENT_LABEL: digest}, rm=True, forcerm=True, decode=True, timeout=_SECONDS,
            )  # fmt: skip
            for event in events:
                if "error" in event:
                    raise _failure(reference, lines, str(event["error"]))
                for line in str(event.get("stream", "")).splitlines():
                    if line.strip():
                        lines.append(line)
                        if progress:
                            progress(line)
        except APIError as error:
            raise _failure(reference, lines, str(error.explanation or error)) from error


def _require_base(client: "DockerClient", base: str) -> None:
    """Have `base` before a large context is sent in vain."""
    from docker.errors import DockerException, ImageNotFound

    try:
        client.images.get(base)
    except ImageNotFound:
        try:
            client.images.pull(base)
        except DockerException as error:
            raise ConfigurationError(
                f"the base image {base} is not on this Docker and cannot be pulled: {error}",
                fix="set images.base in fleet.yml to an image that this Docker has or can pull",
            ) from error


def _failure(reference: str, lines: list[str], reason: str) -> DagfleetError:
    told = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
    return DagfleetError(f"building {reference} failed: {reason}\n{told}", fix="mend that, then try again")

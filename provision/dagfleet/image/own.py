"""Building a location's image from its owner's Dockerfile."""

from collections.abc import Callable
from pathlib import Path

from dagfleet.errors import ConfigurationError, DagfleetError

_SECONDS = 900
_LAST_LINES = 8


def build_own(folder: Path, *, repository: str, progress: Callable[[str], None]) -> str:
    """Build a folder's Dockerfile with this machine's Docker; return the image, named after its content.

    `repository` is an image whose name the new one gets, with another tag. Raises ConfigurationError without
    a Dockerfile or Docker, DagfleetError with the builder's last lines.
    """
    import docker
    from docker.errors import APIError, BuildError, DockerException

    if not (folder / "Dockerfile").is_file():
        raise ConfigurationError(
            f"{folder} has no Dockerfile", fix="name the folder that has it: --build DIR"
        )
    try:
        engine = docker.from_env(timeout=_SECONDS)
        engine.api.trust_env = False
        engine.ping()
    except DockerException as error:
        raise ConfigurationError(
            "no Docker answers on this machine to build with", fix="start Docker here, or deploy --image REF"
        ) from error
    lines: list[str] = []
    try:
        image = ""
        for event in engine.api.build(path=str(folder), rm=True, forcerm=True, decode=True):
            if "error" in event:
                raise BuildError(str(event["error"]), iter(()))
            image = event.get("aux", {}).get("ID", image)
            for line in filter(str.strip, str(event.get("stream", "")).splitlines()):
                lines.append(line)
                progress(line)
        name = f"{bare(repository)}:{image.removeprefix('sha256:')[:12]}"
        engine.images.get(image).tag(name)
    except (APIError, BuildError) as error:
        last = "".join(f"\n    {line}" for line in lines[-_LAST_LINES:])
        raise DagfleetError(f"{folder} was not built: {error}{last}", fix="mend its Dockerfile") from error
    finally:
        engine.close()
    return name


def bare(reference: str) -> str:
    """Return an image's name without tag and digest; a registry's port is no tag."""
    name = reference.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]

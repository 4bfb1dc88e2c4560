"""The image of a code location, from its folder."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.image.build import Progress, build, engine_architecture, has_content
from dagfleet.image.digest import content_digest, source_files
from dagfleet.image.environment import locked_environment, require_complete, wheel_environment
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.sources import LOCK, Sources
from dagfleet.image.target import Target
from dagfleet.image.wheels import build_wheel, plugin_digest, plugin_wheels
from dagfleet.paths import bundle

if TYPE_CHECKING:
    from docker import DockerClient


def build_location(
    folder: Path,
    reference: str,
    docker_client: "DockerClient",
    *,
    base: str,
    dagster: str,
    progress: Progress | None = None,
) -> str:
    """Build `reference` from a code location's folder unless it is there with the same content; return it.

    The folder holds a package, with a pyproject.toml or bare, and best a requirements.txt with hashes. `base`
    is an image with Python, `dagster` the fleet's version. `progress` is called with each line of the
    builder.
    """
    target = Target(architecture=engine_architecture(docker_client))
    sources = Sources.of([folder], dagster=dagster)
    digest = content_digest(
        [
            ("sources", sources.digest(target).encode()),
            ("plugins", plugin_digest().encode()),
            ("Dockerfile", _dockerfile()),
            ("base", base.encode()),
        ]
    )
    if has_content(docker_client, reference, digest):
        return reference
    third_party = locked_environment(sources.lock(target), target)
    with scratch_folder() as scratch:
        code = _code(folder, target, third_party, scratch / "code")
        build(
            docker_client,
            reference,
            {
                "Dockerfile": _dockerfile(),
                "third-party": third_party,
                "plugins": wheel_environment(plugin_wheels(), target, scratch / "plugins"),
                "code": code,
            },
            arguments={"BASE": base, "PYTHON": target.python},
            digest=digest,
            progress=progress,
        )
    return reference


def _code(folder: Path, target: Target, third_party: Path, destination: Path) -> Path:
    if (folder / "pyproject.toml").is_file():
        wheel = build_wheel(folder)
        require_complete(wheel, target, installed=third_party)
        return wheel_environment([wheel], target, destination)
    packages = target.packages(destination)
    for name, path in source_files(folder):
        if name != LOCK:
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, packages / name)
    return destination


def _dockerfile() -> bytes:
    return (bundle() / "images" / "location" / "Dockerfile").read_bytes()

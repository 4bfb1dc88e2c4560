"""The control plane's image: web server, daemon and admin location, with both plugins."""

from typing import TYPE_CHECKING

from dagfleet.image.build import Progress, build, engine_architecture, has_content
from dagfleet.image.digest import content_digest
from dagfleet.image.environment import locked_environment, wheel_environment
from dagfleet.image.locks import control_plane_lock
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.target import Target
from dagfleet.image.wheels import plugin_digest, plugin_wheels
from dagfleet.paths import bundle

if TYPE_CHECKING:
    from docker import DockerClient

    from dagfleet.fleet import Fleet

REPOSITORY = "dagfleet/control-plane"
_PYTHON = Target().python


def control_plane_reference(fleet: "Fleet") -> str:
    """Return the image's name; its tag names Dagster's version and the content. Needs no Docker.

    A pinned `control.image` is returned as it is.
    """
    if fleet.control.image:
        return fleet.control.image
    return f"{REPOSITORY}:{fleet.dagster.version}-{_digest(fleet)[:12]}"


def build_control_plane(
    fleet: "Fleet", docker_client: "DockerClient", progress: Progress | None = None
) -> str:
    """Build the image on `docker_client` unless it is there already; return its reference.

    With a pinned `control.image` nothing is built. `progress` is called with each line of the builder.
    """
    reference = control_plane_reference(fleet)
    digest = _digest(fleet)
    if fleet.control.image or has_content(docker_client, reference, digest):
        return reference
    target = Target(architecture=engine_architecture(docker_client))
    with scratch_folder() as scratch:
        build(
            docker_client,
            reference,
            {
                "Dockerfile": _dockerfile(),
                "third-party": locked_environment(
                    control_plane_lock(fleet.dagster.version).read_text(), target
                ),
                "plugins": wheel_environment(plugin_wheels(), target, scratch / "plugins"),
            },
            arguments={"BASE": fleet.images.base, "PYTHON": target.python},
            digest=digest,
            progress=progress,
        )
    return reference


def _digest(fleet: "Fleet") -> str:
    return content_digest(
        [
            ("lock", control_plane_lock(fleet.dagster.version).read_bytes()),
            ("plugins", plugin_digest().encode()),
            ("Dockerfile", _dockerfile()),
            ("base", fleet.images.base.encode()),
            ("python", _PYTHON.encode()),
        ]
    )


def _dockerfile() -> bytes:
    return (bundle() / "images" / "control-plane" / "Dockerfile").read_bytes()

"""Which image a run uses, and whose credentials are meant for it."""

from urllib.parse import urlsplit

from dagster._core.errors import DagsterCodeLocationLoadError, DagsterCodeLocationNotFoundError
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext
from dagster._core.storage.tags import DOCKER_IMAGE_TAG
from docker.auth import INDEX_NAME, resolve_repository_name

from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import ContainerSettings, Registry

_DOCKER_HUB = frozenset({INDEX_NAME, "index.docker.io", "registry-1.docker.io"})


def image_of(
    context: LaunchRunContext | ResumeRunContext, location: ContainerSettings, defaults: ContainerSettings
) -> str:
    """Return the image for a run; raise `LaunchError` if nothing names one.

    In this order: the run's tag `dagster/image`, the location's `image` in the launcher's configuration,
    the DAGSTER_CURRENT_IMAGE that its code server reports now, the one it reported when the run was
    created, the launcher's own `image`.
    """
    run = context.dagster_run
    for candidate in (
        run.tags.get(DOCKER_IMAGE_TAG),
        location.image,
        _current_image(context),
        run.job_code_origin.repository_origin.container_image if run.job_code_origin else None,
        defaults.image,
    ):
        if candidate and candidate.strip():
            return candidate.strip()
    raise LaunchError(
        f"Nothing names an image for job {run.job_name}. Set DAGSTER_CURRENT_IMAGE in the environment of the"
        f" location's code server, or the run tag {DOCKER_IMAGE_TAG}."
    )


def _current_image(context: LaunchRunContext | ResumeRunContext) -> str | None:
    origin = context.dagster_run.remote_job_origin
    if not context.workspace or not origin:
        return None
    try:
        location = context.workspace.get_code_location(origin.location_name)
    except (DagsterCodeLocationLoadError, DagsterCodeLocationNotFoundError):
        return None  # its code server is away; the image that the run was created with will do
    return getattr(location, "container_image", None)


def belongs_to(image: str, registry: Registry) -> bool:
    """Say whether the registry's credentials are meant for this image's registry."""
    url = registry.url if "//" in registry.url else f"//{registry.url}"
    wanted, actual = urlsplit(url).netloc, resolve_repository_name(image)[0]
    return wanted == actual or (wanted in _DOCKER_HUB and actual in _DOCKER_HUB)

"""Which image a run uses, and getting it to a host that lacks it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from dagster._core.errors import DagsterCodeLocationLoadError, DagsterCodeLocationNotFoundError
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext
from dagster._core.storage.tags import DOCKER_IMAGE_TAG
from docker.auth import INDEX_NAME, resolve_repository_name
from docker.errors import APIError, InvalidRepository

from dagster_multihost_launcher.errors import LaunchError, RunPostponed
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.settings import ContainerSettings, Registry

_DOCKER_HUB = frozenset({INDEX_NAME, "index.docker.io", "registry-1.docker.io"})
_NO_RETRY_HEALS = (
    "not found",
    "manifest unknown",
    "denied",
    "unauthorized",
    "invalid reference",
    "no matching",
)


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


def pull(connection: HostConnection, image: str, *, timeout: float) -> None:
    """Pull an image within `timeout` seconds, with the registry's credentials sent for this pull only."""
    started = time.monotonic()
    try:
        with connection.api_for_pull() as api:
            for line in _progress(
                api.pull(image, stream=True, decode=True, auth_config=_login(connection, image))
            ):
                if error := line.get("error"):
                    raise _refused(connection.name, image, str(error))
                if time.monotonic() - started > timeout:
                    raise LaunchError(
                        f"Pulling {image} on Docker host {connection.name} took longer than {timeout:g} s."
                        " Pull it there beforehand, or raise pull_timeout."
                    )
    except APIError as error:
        raise _refused(connection.name, image, str(error.explanation or error)) from error
    except InvalidRepository as error:
        raise _refused(connection.name, image, f"invalid reference: {error}") from error


def _progress(lines: Any) -> Iterator[Mapping[str, Any]]:
    yield from lines


def _refused(host_name: str, image: str, fact: str) -> LaunchError | RunPostponed:
    if any(phrase in fact.lower() for phrase in _NO_RETRY_HEALS):
        return LaunchError(
            f"Docker host {host_name} cannot get the image {image}: {fact.strip()}. Check its name and"
            " tag, and the registry's credentials for that host."
        )
    return RunPostponed(
        f"Docker host {host_name} could not pull {image}: {fact.strip()}", retry_after_seconds=30
    )


def _login(connection: HostConnection, image: str) -> dict[str, str] | None:
    registry = connection.host.registry
    if not registry or not belongs_to(image, registry):
        return None
    return {"username": registry.username, "password": registry.password}


def belongs_to(image: str, registry: Registry) -> bool:
    """Say whether the registry's credentials are meant for this image's registry."""
    url = registry.url if "//" in registry.url else f"//{registry.url}"
    wanted, actual = urlsplit(url).netloc, resolve_repository_name(image)[0]
    return wanted == actual or (wanted in _DOCKER_HUB and actual in _DOCKER_HUB)

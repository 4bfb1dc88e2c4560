"""What a code server says about its runs' containers, in dagster-docker's format.

A code server gets it from `dagster api grpc --container-context` or DAGSTER_CONTAINER_CONTEXT, and reports it
with its jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import Array, DagsterRun, Field, StringSource
from dagster._config import process_config
from dagster._core.container_context import process_shared_container_context_config
from dagster._core.errors import DagsterInvalidConfigError

from dagster_multihost_launcher import kwargs, run_tags, schema
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import ContainerSettings, Registry, Settings

_REGISTRY = {"url": StringSource, "username": StringSource, "password": StringSource}
_SCHEMA = {
    "registry": Field(_REGISTRY, is_required=False),
    "env_vars": Field([str], is_required=False),
    "container_kwargs": Field(dict, is_required=False),
    "networks": Field(Array(StringSource), is_required=False),
}


@dataclass(frozen=True, kw_only=True)
class Context:
    """A container context: `container` as a host or location would say it, and a registry for the pull."""

    container: ContainerSettings
    registry: Registry | None = None


NOTHING = Context(container=ContainerSettings())


def read(run: DagsterRun, settings: Settings) -> Context:
    """Return the context that the run's code server reported when the run was created.

    Raises:
        LaunchError: it does not fit dagster-docker's schema, or `container_context: safe` forbids it.
    """
    origin = run.job_code_origin
    given = origin.repository_origin.container_context if origin else None
    if not given or settings.container_context == schema.NONE:
        return NOTHING
    where = f"The container_context of {run.job_name}'s code server"
    docker = given.get("docker") or {}
    if settings.container_context == schema.SAFE:
        _refuse_unsafe(where, given, docker, settings)
    shared, own = _processed(where, given, docker)
    arguments = own.get("container_kwargs") or {}
    wrong = list(kwargs.problems(where, arguments))
    if wrong:
        raise LaunchError("; ".join(wrong))
    registry = own.get("registry")
    return Context(
        container=ContainerSettings(
            networks=tuple(own.get("networks") or ()),
            env_vars=(*(shared.get("env_vars") or ()), *(own.get("env_vars") or ())),
            container_kwargs=arguments,
        ),
        registry=Registry(**registry) if registry else None,
    )


def _processed(
    where: str, given: Mapping[str, Any], docker: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        shared = process_shared_container_context_config(given)
    except DagsterInvalidConfigError as error:
        raise LaunchError(f"{where} is wrong: {error}") from error
    checked = process_config(_SCHEMA, docker)
    if not checked.success or checked.value is None:
        facts = "; ".join(error.message for error in checked.errors or ())
        raise LaunchError(f"{where} is wrong under `docker`: {facts}")
    return shared, checked.value


def _refuse_unsafe(
    where: str, given: Mapping[str, Any], docker: Mapping[str, Any], settings: Settings
) -> None:
    """Refuse what reaches beyond the container: the host, its networks, and the launcher's own secrets."""
    entries = (*(given.get("env_vars") or ()), *(docker.get("env_vars") or ()))
    refused = [
        *(key for key in ("networks", "registry") if docker.get(key)),
        *(f"env_vars {entry} (without a value)" for entry in entries if "=" not in str(entry)),
    ]
    if refused:
        raise LaunchError(
            f"{where} may not set {', '.join(refused)} while container_context is safe. Set it for the"
            " location in the run launcher's configuration."
        )
    run_tags.within(where, docker.get("container_kwargs") or {}, settings.run_tags)

"""The environment of a run container, from its layers; the last one wins."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from docker.errors import NotFound
from dotenv import dotenv_values

from dagster_multihost_launcher.api import DockerApi
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import ContainerSettings, Host


def from_file(path: str | None) -> dict[str, str]:
    """Return the variables of a .env file; raise `LaunchError` if it cannot be read."""
    if not path:
        return {}
    try:
        with Path(path).open(encoding="utf-8") as stream:
            values = dotenv_values(stream=stream, interpolate=False)
    except OSError as error:
        raise LaunchError(
            f"The env file {path} cannot be read: {error.strerror}. It must exist where the launcher runs"
            " (default_env_file, env_file of docker_hosts)."
        ) from error
    return {key: value for key, value in values.items() if value is not None}


def from_entries(entries: Sequence[str]) -> dict[str, str]:
    """Return the variables of KEY=VALUE entries; KEY alone takes the value that the launcher has."""
    result = {}
    for entry in entries:
        key, given, value = entry.partition("=")
        if not given:
            if key not in os.environ:
                raise LaunchError(
                    f"The environment variable {key} is to be passed to run containers but is not set where"
                    " the launcher runs. Set it there, or write KEY=VALUE in env_vars."
                )
            value = os.environ[key]
        result[key] = value
    return result


@dataclass(frozen=True, kw_only=True)
class Inherited:
    """What run containers take over from their code server's container."""

    variables: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()


def wants_to_inherit(host: Host) -> bool:
    """Say whether the code server's container has to be looked at."""
    return bool(host.inherit_env_from_container and (host.inherit_env_vars or host.inherit_networks))


def inherited(api: DockerApi, host: Host, location: str) -> Inherited:
    """Return the listed variables and networks of the code server's container; nothing without a list.

    Everything that a container gets can be read in `docker inspect`, so a secret is never taken unasked.
    """
    if not wants_to_inherit(host) or not host.inherit_env_from_container:
        return Inherited()
    name = host.inherit_env_from_container.replace("{location}", location)
    try:
        inspected: Mapping[str, Any] = api.inspect_container(name)
    except NotFound as error:
        raise LaunchError(
            f"Docker host {host.name} has no container {name} to inherit from."
            " Correct inherit_env_from_container, or write `off`."
        ) from error
    present = dict(entry.partition("=")[::2] for entry in inspected["Config"].get("Env") or ())
    attached = sorted((inspected.get("NetworkSettings") or {}).get("Networks") or ())
    return Inherited(
        variables={key: present[key] for key in host.inherit_env_vars if key in present},
        networks=tuple(
            name for name in attached if any(fnmatchcase(name, each) for each in host.inherit_networks)
        ),
    )


def environment(
    *,
    defaults: ContainerSettings,
    host: Host,
    context: ContainerSettings,
    location: ContainerSettings,
    inherited_variables: Mapping[str, str],
    job_name: str,
    run_id: str,
) -> dict[str, str]:
    """Return all variables, the last of these layers winning.

    Default file, host file, code server's container; defaults, host, container_context, location; job name
    and run id.
    """
    return {
        **from_file(defaults.env_file),
        **from_file(host.container.env_file),
        **inherited_variables,
        **from_entries((*defaults.env_vars, *host.container.env_vars, *context.env_vars, *location.env_vars)),
        "DAGSTER_RUN_JOB_NAME": job_name,
        "DAGSTER_RUN_ID": run_id,
    }

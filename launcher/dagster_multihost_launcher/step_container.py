"""The container of one step, made after the container of the run that it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from docker.errors import APIError, NotFound

from dagster_multihost_launcher import step_socket
from dagster_multihost_launcher.api import DockerApi
from dagster_multihost_launcher.worker import Labels, Worker, worker_from

_MANAGED = "/managed"
_CONFLICT = 409
# What an inspect shows of a container, but what only that one container is to have.
_ITS_OWN = frozenset({"AutoRemove", "Binds", "ContainerIDFile", "PortBindings", "RestartPolicy"})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One attempt of one step of a run."""

    run_id: str
    key: str
    retry: int
    command: Sequence[str]

    @property
    def container_name(self) -> str:
        """The one name that its container can have: Docker itself then prevents a second."""
        key = sha256(self.key.encode()).hexdigest()[:10]
        return f"dagster-step-{self.run_id[:8]}-{key}-{self.retry}"


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What an executor's configuration adds to the run's container. `host` is a HostConfig."""

    image: str | None
    environment: Mapping[str, str]
    networks: Sequence[str]
    host: Mapping[str, Any]


def configuration(step: Step, run: Mapping[str, Any], additions: Additions) -> dict[str, Any]:
    """Return what Docker's create takes, from the inspected container of the run.

    The step has the run's image, user, variables, mounts, networks and limits, and its labels, so that the
    reaper and a termination find it. It does not get the run's Docker socket.
    """
    config, host = run["Config"], run["HostConfig"]
    labels = dict(config.get("Labels") or {})
    prefix = next(key.removesuffix(_MANAGED) for key in labels if key.endswith(_MANAGED))
    binds = [bind for bind in host.get("Binds") or () if not step_socket.is_mount(bind)]
    network = additions.networks[0] if additions.networks else host.get("NetworkMode")
    return {
        **{
            key: config[key] for key in ("Entrypoint", "User", "WorkingDir", "StopTimeout") if config.get(key)
        },
        "Image": additions.image or run["Image"],
        "Cmd": list(step.command),
        "Env": _variables(
            config.get("Env") or (), {**additions.environment, "DAGSTER_RUN_STEP_KEY": step.key}
        ),
        "Labels": {**labels, Labels(prefix=prefix).step: step.key},
        "HostConfig": {
            **{key: value for key, value in host.items() if key not in _ITS_OWN},
            **additions.host,
            "Binds": [*binds, *(additions.host.get("Binds") or ())],
            "NetworkMode": network,
        },
    }


def further_networks(run: Mapping[str, Any], additions: Additions) -> Sequence[str]:
    """Return the networks beside the one at create: the configured ones, or else the run's."""
    if additions.networks:
        return additions.networks[1:]
    first = run["HostConfig"].get("NetworkMode")
    return [name for name in run["NetworkSettings"]["Networks"] if name != first]


def started(
    api: DockerApi, host_name: str, name: str, config: Mapping[str, Any], networks: Sequence[str]
) -> str:
    """Create and start the container and return its id; one of that name that works is taken over."""
    try:
        container_id = _created(api, name, config)
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise
        found = inspected(api, host_name, name)
        if found and found.alive:
            return found.container_id
        api.remove_container(name, force=True, v=True)
        container_id = _created(api, name, config)
    try:
        for network in networks:
            api.connect_container_to_network(container_id, network)
        api.start(container_id)
    except APIError:
        api.remove_container(container_id, force=True, v=True)
        raise
    return container_id


def inspected(api: DockerApi, host_name: str, name: str) -> Worker | None:
    """Return the container of this name, or None."""
    try:
        return worker_from(host_name, api.inspect_container(name))
    except NotFound:
        return None


def _created(api: DockerApi, name: str, config: Mapping[str, Any]) -> str:
    answer = api.create_container_from_config(dict(config), name)  # type: ignore[no-untyped-call]
    return str(answer["Id"])


def _variables(inherited: Sequence[str], more: Mapping[str, str]) -> list[str]:
    known = dict(entry.partition("=")[::2] for entry in inherited)
    return [f"{key}={value}" for key, value in {**known, **more}.items()]

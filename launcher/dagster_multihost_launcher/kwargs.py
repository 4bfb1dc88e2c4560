"""Arguments of the Docker SDK's `containers.create()`: checked without a daemon, and merged."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any

from docker import APIClient
from docker.errors import DockerException
from docker.types import HostConfig

_CHECK_VERSION = "1.41"
_OWNED = {
    "image": "write `image` beside container_kwargs, or the run tag dagster/image",
    "environment": "write `env_vars` beside container_kwargs",
    "network": "write `network` or `networks` beside container_kwargs",
    "networking_config": "write `network` or `networks` beside container_kwargs",
    "name": "remove it: the name is made from the run's id",
    "command": "remove it: the command is Dagster's; use `entrypoint` to wrap it",
    "detach": "remove it: run containers are always detached",
    "version": "remove it: the API version is agreed with each host",
}
# `volumes` and `ports` are the names in containers.create(), `binds` and `port_bindings` one level below.
_CREATE = frozenset(signature(APIClient.create_container).parameters) - {"self", "host_config", "ports"}
_HOST = frozenset(signature(HostConfig.__init__).parameters) - {"self", "binds", "port_bindings"}
ACCEPTED = (_CREATE | _HOST | {"ports", "volumes"}) - _OWNED.keys()
_SUMMED = frozenset(
    {"cap_add", "cap_drop", "device_requests", "devices", "dns", "dns_opt", "dns_search", "extra_hosts"}
    | {"group_add", "labels", "links", "mounts", "security_opt", "sysctls", "tmpfs", "ulimits", "volumes"}
    | {"volumes_from"}
)


def problems(where: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each argument that create() would refuse, before any run meets it."""
    for key in sorted(kwargs.keys() - ACCEPTED):
        close = get_close_matches(key, ACCEPTED, n=1)
        fix = _OWNED.get(key) or (f"did you mean {close[0]}?" if close else "remove it")
        yield f"{where}.{key}: {kwargs[key]!r}: is not accepted here; {fix}"
    stop_timeout = kwargs.get("stop_timeout", 0)
    if not isinstance(stop_timeout, int) or stop_timeout < 0:
        yield f"{where}.stop_timeout: {stop_timeout!r}: write a number of seconds, 0 or more"
    accepted = {key: value for key, value in kwargs.items() if key in ACCEPTED}
    try:
        create_arguments(accepted, networks=(), version=_CHECK_VERSION)
    except (DockerException, TypeError, ValueError, AttributeError, KeyError) as error:
        yield f"{where}: {accepted!r}: the Docker SDK refuses it: {error}"


def create_arguments(kwargs: Mapping[str, Any], *, networks: Sequence[str], version: str) -> dict[str, Any]:
    """Return the keyword arguments of the low-level create_container() for `containers.create()`'s.

    The high-level call would ask Docker once more for what it just made.
    """
    create = {key: value for key, value in kwargs.items() if key in _CREATE and key not in _HOST}
    host = {key: value for key, value in kwargs.items() if key in _HOST}
    if volumes := create.pop("volumes", None):
        host["binds"] = volumes
    if ports := kwargs.get("ports"):
        host["port_bindings"] = ports
        create["ports"] = [tuple(str(port).split("/", 1)) for port in ports]
    if networks:
        host["network_mode"] = networks[0]
    return {**create, "host_config": HostConfig(version=version, **host)}


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers as one, the last winning; volumes, hosts and the like add up instead."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            result[key] = _sum(key, result.get(key), value) if key in _SUMMED else value
    return result


def _sum(key: str, below: Any, above: Any) -> Any:
    if not below or not above:
        return above or below
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **above}
    return [*_as_list(key, below), *_as_list(key, above)]


def _as_list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, Mapping):
        return list(value)
    if key == "volumes":
        return [f"{source}:{to['bind']}:{to.get('mode', 'rw')}" for source, to in value.items()]
    separator = ":" if key == "extra_hosts" else "="
    return [f"{name}{separator}{content}" for name, content in value.items()]

"""Mistakes that the schema alone lets through, each with its key, its value and the fix."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from urllib.parse import urlsplit

from dagster_multihost_launcher import foreign, kwargs, schema
from dagster_multihost_launcher.settings import ContainerSettings, Host, Location, RunTags, Settings

_HIGHEST_PORT = 65535
_SCHEMES = ("tcp", "ssh", "unix")


def problems(settings: Settings) -> list[str]:
    """Return a sentence for each mistake; empty if there is none."""
    found = [*_containers("", settings.defaults, prefix="default_")]
    for host in settings.hosts:
        found += _host(host)
    found += _twice("docker_hosts", "host_name", (host.name for host in settings.hosts))
    found += _locations(settings)
    found += _choice("placement", settings.placement, schema.PLACEMENTS)
    found += _choice("pull_policy", settings.pull_policy, schema.PULL_POLICIES)
    found += _choice("container_context", settings.container_context, schema.CONTAINER_CONTEXTS)
    found += _run_tags(settings.run_tags)
    found += _numbers(settings)
    found += _reaper(settings)
    return found


def warnings(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each thing that loads but should not stay so."""
    for name, location in settings.locations.items():
        if location.docker_socket:
            yield (
                f"locations {name}: docker_socket: {location.docker_socket}: the code of each of its runs is"
                " root on the run's host; remove it where docker_executor is not used"
            )
    for host in settings.hosts:
        if host.tls and not host.tls.verify:
            yield (
                f"docker_hosts {host.name}: tls.verify: false: whoever answers on that address gets the runs"
                " and their environment; write verify: true and name the CA in ca_cert"
            )
        if host.insecure and _scheme(host) == "tcp" and not host.tls:
            yield f"docker_hosts {host.name}: insecure: true: who reaches {host.url} is root there; use TLS"
        if _inherits(host) and not host.inherit_env_vars and not host.inherit_networks:
            yield (
                f"docker_hosts {host.name}: inherit_env_from_container: {host.inherit_env_from_container}:"
                " inherits nothing until inherit_env_vars lists the names, because everything that is"
                " copied can be read in `docker inspect`"
            )


def _host(host: Host) -> Iterator[str]:
    where = f"docker_hosts {host.name}"
    scheme = _scheme(host)
    if host.url and scheme not in _SCHEMES:
        yield f"{where}: docker_url: {host.url}: write tcp://ADDRESS:2376, ssh://USER@ADDRESS or unix:///PATH"
    elif scheme == "tcp":
        yield from _tcp(where, host)
    if host.max_runs is not None and host.max_runs < 0:
        yield f"{where}: max_runs: {host.max_runs}: write 0 (no new runs) or more"
    if host.cpus is not None and host.cpus <= 0:
        yield f"{where}: cpus: {host.cpus:g}: write a number above 0"
    if host.memory is not None and host.memory <= 0:
        yield f"{where}: memory: write a size like 64g or 512m"
    yield from _choice(f"{where}: pull_policy", host.pull_policy, schema.PULL_POLICIES)
    for key in ("inherit_env_vars", "inherit_networks"):
        if getattr(host, key) and not _inherits(host):
            yield (
                f"{where}: {key}: {list(getattr(host, key))}:"
                " name the container in inherit_env_from_container, or remove it"
            )
    yield from _twice(where, "location_names", host.location_names)
    yield from _containers(f"{where}: ", host.container)


def _tcp(where: str, host: Host) -> Iterator[str]:
    try:
        has_port = urlsplit(host.url or "").port is not None
    except ValueError:
        has_port = False
    if not has_port:
        yield f"{where}: docker_url: {host.url}: write the port too, for instance tcp://10.0.0.2:2376"
    if not host.tls and not host.insecure:
        yield (
            f"{where}: docker_url: {host.url}: refused without TLS, because whoever reaches that port is root"
            " on the host; add tls: {ca_cert, client_cert, client_key}, or insecure: true to accept that"
        )


def _locations(settings: Settings) -> Iterator[str]:
    known = sorted({name for host in settings.hosts for name in host.location_names})
    for name, container in settings.locations.items():
        where = f"locations {name}: "
        yield from _containers(where, container)
        yield from _choice(f"{where}placement", container.placement, schema.PLACEMENTS)
        yield from _choice(f"{where}pull_policy", container.pull_policy, schema.PULL_POLICIES)
        if container.launcher:
            yield from foreign.problems(f"{where}launcher", container.launcher)
            yield from _launcher_and_more(where, container, mapped=name in known)
        elif name not in known and not settings.catch_all:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "add it to location_names of a host"
            yield f"locations {name}: no entry of docker_hosts names this location; {hint}"


def _launcher_and_more(where: str, location: Location, *, mapped: bool) -> Iterator[str]:
    if mapped:
        yield f"{where}launcher: an entry of docker_hosts names this location too; keep one of them"
    if replace(location, launcher=None) != Location():
        yield f"{where}launcher: what else is said here is for containers of ours; put it into its config"


def _run_tags(rules: RunTags) -> Iterator[str]:
    for name in sorted(rules.allowed):
        yield from _choice("run_tags.allowed", name, schema.RUN_TAGS)
    for name in sorted(rules.container_kwargs & schema.REACHING_THE_HOST):
        yield (
            f"run_tags.container_kwargs: {name}: whoever launches a run could then reach the host itself; set"
            " it in container_kwargs of the location"
        )
    for name in sorted(rules.container_kwargs - schema.REACHING_THE_HOST - kwargs.ACCEPTED):
        yield f"run_tags.container_kwargs: {name}: is no argument of containers.create(); remove it"


def _choice(where: str, value: str | None, choices: Sequence[str]) -> Iterator[str]:
    if value is not None and value not in choices:
        close = get_close_matches(value, choices, n=1)
        hint = f"did you mean {close[0]}?" if close else f"write one of {', '.join(choices)}"
        yield f"{where}: {value}: is unknown; {hint}"


def _containers(where: str, container: ContainerSettings, *, prefix: str = "") -> Iterator[str]:
    for entry in container.env_vars:
        name = entry.partition("=")[0]
        if not name or name != name.strip():
            yield f"{where}{prefix}env_vars: {name!r}: write KEY=VALUE or KEY, without blanks around KEY"
    for path in container.secret_env_files:
        if not path.startswith("/"):
            yield f"{where}secret_env_files: {path}: write an absolute path of the Docker host"
    yield from kwargs.problems(f"{where}{prefix}container_kwargs", container.container_kwargs)


def _numbers(settings: Settings) -> Iterator[str]:
    for key in (
        "connect_timeout",
        "read_timeout",
        "pull_timeout",
        "retry_after_seconds",
        "host_lost_after_seconds",
    ):
        value = getattr(settings, key)
        if value < 1:
            yield f"{key}: {value}: write 1 second or more"
    if settings.stop_timeout < 0:
        yield f"stop_timeout: {settings.stop_timeout}: write 0 seconds (SIGKILL at once) or more"


def _reaper(settings: Settings) -> Iterator[str]:
    reaping = settings.reaping
    for key in ("watch_seconds", "sweep_seconds"):
        if getattr(reaping, key) < 1:
            yield f"reaper.{key}: {getattr(reaping, key)}: write 1 second or more"
    for key in ("keep_successful_hours", "keep_failed_hours"):
        if not getattr(reaping, key) >= 0:
            yield f"reaper.{key}: {getattr(reaping, key)}: write 0 (remove at once) or more"
    if settings.metrics and not 0 <= settings.metrics.port <= _HIGHEST_PORT:
        yield f"metrics.port: {settings.metrics.port}: write a port, 1 to {_HIGHEST_PORT}"


def _twice(where: str, key: str, names: Iterable[str]) -> Iterator[str]:
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{where}: {key}: {name} stands {times} times: keep one of them"


def _scheme(host: Host) -> str | None:
    return host.url.partition("://")[0] if host.url else None


def _inherits(host: Host) -> bool:
    return host.inherit_env_from_container not in (None, "", "off")

"""The launcher's configuration as values: hosts, locations and what holds for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docker.errors import DockerException
from docker.utils import parse_bytes

from dagster_multihost_launcher import schema

LOCAL_HOST = "local"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Credentials for pulling; never in a repr."""

    url: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Paths of the certificates for one host's Docker API."""

    client_cert: str
    client_key: str
    ca_cert: str | None = None
    verify: bool = True


@dataclass(frozen=True, kw_only=True)
class ContainerSettings:
    """What defaults, hosts and locations alike say about a run container."""

    networks: tuple[str, ...] = ()
    env_vars: tuple[str, ...] = field(default=(), repr=False)
    container_kwargs: Mapping[str, Any] = field(default_factory=dict)
    env_file: str | None = None
    image: str | None = None
    secret_env_files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Another run launcher, as `dagster.yaml` would name it; its configuration may hold secrets."""

    module: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> str:
        """Return `module.Class`."""
        return f"{self.module}.{self.class_name}"


@dataclass(frozen=True, kw_only=True)
class Location(ContainerSettings):
    """What one code location says about its runs; `launcher` hands them to another launcher instead."""

    host_labels: Mapping[str, str] = field(default_factory=dict)
    placement: str | None = None
    pull_policy: str | None = None
    docker_socket: str | None = None
    launcher: Foreign | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """One Docker host. `url` None is this machine's Docker, as the docker command would find it."""

    name: str
    url: str | None = None
    tls: Tls | None = None
    insecure: bool = False
    location_names: tuple[str, ...] = ()
    max_runs: int | None = None
    cpus: float | None = None
    memory: int | None = None  # bytes; -1 for text that is no size, which the checks refuse
    labels: Mapping[str, str] = field(default_factory=dict)
    pull_policy: str | None = None
    inherit_networks: tuple[str, ...] = ()
    container: ContainerSettings = field(default_factory=ContainerSettings)
    inherit_env_from_container: str | None = None
    inherit_env_vars: tuple[str, ...] = ()
    registry: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Reaping:
    """How often the reaper looks, and how long it keeps the containers of finished runs."""

    enabled: bool = True
    watch_seconds: int = schema.DEFAULT_WATCH_SECONDS
    sweep_seconds: int = schema.DEFAULT_SWEEP_SECONDS
    keep_successful_hours: float = schema.DEFAULT_KEEP_SUCCESSFUL_HOURS
    keep_failed_hours: float = schema.DEFAULT_KEEP_FAILED_HOURS


@dataclass(frozen=True, kw_only=True)
class MetricsAddress:
    """Where the daemon's metrics are served."""

    port: int
    host: str = schema.DEFAULT_METRICS_HOST


@dataclass(frozen=True, kw_only=True)
class RunTags:
    """Which `multihost/` tags a run may bring, and which arguments in `multihost/container_kwargs`."""

    allowed: frozenset[str] = frozenset(schema.RUN_TAGS)
    container_kwargs: frozenset[str] = frozenset(schema.HARMLESS_KWARGS)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration. `catch_all` takes every location that no host names, if it is set."""

    hosts: tuple[Host, ...] = ()
    locations: Mapping[str, Location] = field(default_factory=dict)
    defaults: ContainerSettings = field(default_factory=ContainerSettings)
    catch_all: Host | None = None
    strict: bool = False
    placement: str = schema.LEAST_LOADED
    pull_policy: str = schema.IF_NOT_PRESENT
    run_tags: RunTags = field(default_factory=RunTags)
    container_context: str = schema.ALL
    label_prefix: str = schema.DEFAULT_LABEL_PREFIX
    log_url_template: str | None = None
    connect_timeout: int = schema.DEFAULT_CONNECT_TIMEOUT
    read_timeout: int = schema.DEFAULT_READ_TIMEOUT
    pull_timeout: int = schema.DEFAULT_PULL_TIMEOUT
    stop_timeout: int = schema.DEFAULT_STOP_TIMEOUT
    retry_after_seconds: int = schema.DEFAULT_RETRY_AFTER
    host_lost_after_seconds: int = schema.DEFAULT_HOST_LOST_AFTER
    reaping: Reaping = field(default_factory=Reaping)
    metrics: MetricsAddress | None = None

    @property
    def all_hosts(self) -> tuple[Host, ...]:
        """Every host that may run a container."""
        return (*self.hosts, self.catch_all) if self.catch_all else self.hosts

    def location(self, name: str) -> Location:
        """Return what the configuration says about a code location; nothing if it does not name it."""
        return self.locations.get(name) or Location()

    def pull_policy_for(self, host: Host, location: Location) -> str:
        """Return the location's pull policy, else the host's, else the one for all."""
        return location.pull_policy or host.pull_policy or self.pull_policy


_DOCKER_RUN_LAUNCHER_KEYS = ("image", "registry", "env_vars", "network", "networks", "container_kwargs")
_PLAIN_KEYS = (
    "strict",
    "placement",
    "pull_policy",
    "container_context",
    "log_url_template",
    "connect_timeout",
    "read_timeout",
    "pull_timeout",
    "stop_timeout",
    "retry_after_seconds",
    "host_lost_after_seconds",
)


def read(config: Mapping[str, Any]) -> Settings:
    """Turn a configuration that fits the schema into settings.

    Without `docker_hosts`, `DockerRunLauncher`'s keys mean what they mean there: every run becomes a
    container on this machine's Docker. Beside `docker_hosts` they are defaults for all hosts.
    """
    shared_registry = _registry(config.get("registry"))
    hosts = tuple(_host(entry, shared_registry) for entry in config.get("docker_hosts") or ())
    as_docker_run_launcher = not hosts and any(config.get(key) for key in _DOCKER_RUN_LAUNCHER_KEYS)
    return Settings(
        hosts=hosts,
        catch_all=Host(name=LOCAL_HOST, registry=shared_registry) if as_docker_run_launcher else None,
        locations={name: _location(entry) for name, entry in (config.get("locations") or {}).items()},
        defaults=ContainerSettings(
            networks=_networks(config),
            env_vars=(*(config.get("default_env_vars") or ()), *(config.get("env_vars") or ())),
            container_kwargs={
                **(config.get("default_container_kwargs") or {}),
                **(config.get("container_kwargs") or {}),
            },
            env_file=config.get("default_env_file"),
            image=config.get("image"),
            secret_env_files=tuple(config.get("secret_env_files") or ()),
        ),
        run_tags=_run_tags(config.get("run_tags") or {}),
        reaping=Reaping(**(config.get("reaper") or {})),
        metrics=MetricsAddress(**config["metrics"]) if config.get("metrics") else None,
        label_prefix=config.get("container_label_prefix", schema.DEFAULT_LABEL_PREFIX),
        **{key: config[key] for key in _PLAIN_KEYS if config.get(key) is not None},
    )


def _host(entry: Mapping[str, Any], shared_registry: Registry | None) -> Host:
    tls = entry.get("tls")
    return Host(
        name=entry["host_name"],
        url=entry.get("docker_url"),
        tls=Tls(**tls) if tls else None,
        insecure=entry.get("insecure", False),
        location_names=tuple(entry["location_names"]),
        max_runs=entry.get("max_runs"),
        cpus=entry.get("cpus"),
        memory=size(entry["memory"]) if entry.get("memory") is not None else None,
        labels=_labels(entry.get("labels")),
        pull_policy=entry.get("pull_policy"),
        inherit_networks=tuple(entry.get("inherit_networks") or ()),
        container=_container(entry),
        inherit_env_from_container=entry.get("inherit_env_from_container"),
        inherit_env_vars=tuple(entry.get("inherit_env_vars") or ()),
        registry=_registry(entry.get("registry")) or shared_registry,
    )


def _location(entry: Mapping[str, Any]) -> Location:
    other = entry.get("launcher")
    return Location(
        **_shared(entry),
        image=entry.get("image"),
        host_labels=_labels(entry.get("host_labels")),
        placement=entry.get("placement"),
        pull_policy=entry.get("pull_policy"),
        docker_socket=entry.get("docker_socket"),
        launcher=Foreign(
            module=other["module"], class_name=other["class"], config=dict(other.get("config") or {})
        )
        if other
        else None,
    )


def _container(entry: Mapping[str, Any]) -> ContainerSettings:
    return ContainerSettings(**_shared(entry), env_file=entry.get("env_file"))


def _shared(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "networks": _networks(entry),
        "env_vars": tuple(entry.get("env_vars") or ()),
        "container_kwargs": dict(entry.get("container_kwargs") or {}),
        "secret_env_files": tuple(entry.get("secret_env_files") or ()),
    }


def _run_tags(entry: Mapping[str, Any]) -> RunTags:
    return RunTags(**{key: frozenset(names) for key, names in entry.items() if names is not None})


def _labels(entry: Mapping[str, Any] | None) -> dict[str, str]:
    """Return labels as text: `true` in YAML and the tag's `gpu=true` are to be the same."""
    return {key: _text(value) for key, value in (entry or {}).items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def size(text: str) -> int:
    """Return the bytes that "512m" or "64g" means to Docker, or -1 if it means nothing."""
    try:
        number = parse_bytes(text)
    except (DockerException, ValueError, TypeError):
        return -1
    return int(number) if number > 0 else -1


def _networks(entry: Mapping[str, Any]) -> tuple[str, ...]:
    first = entry.get("network")
    return (*((first,) if first else ()), *(entry.get("networks") or ()))


def _registry(entry: Mapping[str, str] | None) -> Registry | None:
    return Registry(**entry) if entry else None

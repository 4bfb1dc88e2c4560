"""The configuration keys: the reference launcher's, `DockerRunLauncher`'s, and ours, in one schema."""

from typing import Any

from dagster import Array, BoolSource, Field, Float, IntSource, Noneable, StringSource

DEFAULT_LABEL_PREFIX = "dagster"
DEFAULT_CONNECT_TIMEOUT = 3
DEFAULT_READ_TIMEOUT = 10
DEFAULT_PULL_TIMEOUT = 600
DEFAULT_STOP_TIMEOUT = 30
DEFAULT_RETRY_AFTER = 10
DEFAULT_HOST_LOST_AFTER = 300
DEFAULT_WATCH_SECONDS = 5
DEFAULT_SWEEP_SECONDS = 60
DEFAULT_KEEP_SUCCESSFUL_HOURS = 1.0
DEFAULT_KEEP_FAILED_HOURS = 72.0
DEFAULT_METRICS_HOST = "127.0.0.1"


def _optional(inner: Any, description: str) -> Field:
    return Field(Noneable(inner), is_required=False, description=description)


def _seconds(default: int, description: str) -> Field:
    return Field(IntSource, is_required=False, default_value=default, description=f"Seconds. {description}")


_REGISTRY = {"url": Field(StringSource), "username": Field(StringSource), "password": Field(StringSource)}

_TLS = {
    "ca_cert": _optional(StringSource, "The CA of the host's certificate; absent: the system's CAs."),
    "client_cert": Field(StringSource, description="The launcher's certificate."),
    "client_key": Field(StringSource, description="The launcher's key."),
    "verify": Field(
        BoolSource,
        is_required=False,
        default_value=True,
        description="Verify the server. false hands every run's environment to whoever answers.",
    ),
}

_CONTAINER = {
    "network": _optional(StringSource, "The network of run containers; `none` for no network."),
    "networks": _optional(Array(StringSource), "Networks of run containers; the first at create."),
    "env_vars": _optional(Array(StringSource), "KEY=VALUE, or KEY to take the launcher's own value."),
    "container_kwargs": _optional(
        dict, "Arguments of the Docker SDK's containers.create(), checked when the instance loads."
    ),
}

_HOST = {
    "host_name": Field(StringSource, description="The name in tags, labels and messages."),
    "docker_url": _optional(StringSource, "tcp://, ssh:// or unix://; absent: this machine's Docker."),
    "tls": _optional(_TLS, "Mutual TLS of a tcp:// URL."),
    "insecure": Field(
        BoolSource,
        is_required=False,
        default_value=False,
        description="Accept tcp:// without TLS: whoever reaches that port is root on the host.",
    ),
    "location_names": Field(Array(StringSource), description="Code locations that run here."),
    "max_runs": _optional(IntSource, "Most unfinished runs at once on this host."),
    **_CONTAINER,
    "env_file": _optional(StringSource, "A .env file beside the launcher, for this host's runs."),
    "inherit_env_from_container": _optional(
        StringSource, "The code server's container ({location} is replaced) to inherit variables from."
    ),
    "inherit_env_vars": _optional(
        Array(StringSource), "Names of the variables to inherit from that container; none by default."
    ),
    "registry": _optional(_REGISTRY, "Credentials for pulling from this registry."),
}


def _hours(default: float, description: str) -> Field:
    return Field(Float, is_required=False, default_value=default, description=f"Hours. {description}")


_REAPER = {
    "enabled": Field(
        BoolSource,
        is_required=False,
        default_value=True,
        description="Look after runs and containers in a thread of the daemon.",
    ),
    "watch_seconds": _seconds(DEFAULT_WATCH_SECONDS, "Between looks at runs that are starting or canceling."),
    "sweep_seconds": _seconds(DEFAULT_SWEEP_SECONDS, "Between looks at all run containers of a host."),
    "keep_successful_hours": _hours(
        DEFAULT_KEEP_SUCCESSFUL_HOURS, "How long a successful run's container stays."
    ),
    "keep_failed_hours": _hours(
        DEFAULT_KEEP_FAILED_HOURS, "How long a failed or canceled run's container stays."
    ),
}

_METRICS = {
    "port": Field(IntSource, description="The port of /metrics in Prometheus' format, in the daemon."),
    "host": Field(
        StringSource,
        is_required=False,
        default_value=DEFAULT_METRICS_HOST,
        description="The address to listen on: there is neither TLS nor a login.",
    ),
}

_LOCATION = {"image": _optional(StringSource, "The image of this location's runs."), **_CONTAINER}


def config_schema() -> dict[str, Any]:
    """Return the launcher's whole configuration schema."""
    return {
        "docker_hosts": _optional(Array(_HOST), "Docker hosts and the code locations that run on each."),
        "locations": _optional(
            {str: _LOCATION}, "Per code location: additions to what its hosts and defaults say."
        ),
        "strict": Field(
            BoolSource,
            is_required=False,
            default_value=False,
            description="Refuse a run of a location that no host names, instead of DefaultRunLauncher.",
        ),
        "default_env_vars": _optional(Array(StringSource), "Like env_vars, for all run containers."),
        "default_env_file": _optional(StringSource, "Like env_file, for all run containers."),
        "default_container_kwargs": _optional(dict, "Like container_kwargs, for all run containers."),
        "container_label_prefix": Field(
            StringSource,
            is_required=False,
            default_value=DEFAULT_LABEL_PREFIX,
            description="Prefix of the labels run_id, job_name, location_name, host_name, managed, attempt.",
        ),
        "log_url_template": _optional(
            StringSource, "URL with {run_id} {job_name} {location} {host_name} {launch_ms}, put on each run."
        ),
        "connect_timeout": _seconds(DEFAULT_CONNECT_TIMEOUT, "For connecting to a Docker host."),
        "read_timeout": _seconds(DEFAULT_READ_TIMEOUT, "For an answer of a Docker host."),
        "pull_timeout": _seconds(DEFAULT_PULL_TIMEOUT, "For pulling an image that a host lacks."),
        "stop_timeout": _seconds(DEFAULT_STOP_TIMEOUT, "Between SIGTERM and SIGKILL of a terminated run."),
        "retry_after_seconds": _seconds(
            DEFAULT_RETRY_AFTER, "How long an unreachable host is left alone, and a run waits for it."
        ),
        "host_lost_after_seconds": _seconds(
            DEFAULT_HOST_LOST_AFTER, "How long a host may not answer before its runs count as failed."
        ),
        "reaper": _optional(_REAPER, "What happens to containers after their run, and to stuck runs."),
        "metrics": _optional(_METRICS, "Prometheus metrics of the daemon; absent: none."),
        "image": _optional(StringSource, "As in DockerRunLauncher: the image where nothing else names one."),
        "registry": _optional(_REGISTRY, "As in DockerRunLauncher; a host's own replaces it."),
        **_CONTAINER,
    }

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


LEAST_LOADED, SPREAD, PACK = "least_loaded", "spread", "pack"
PLACEMENTS = (LEAST_LOADED, SPREAD, PACK)
ALWAYS, IF_NOT_PRESENT, NEVER = "always", "if_not_present", "never"
PULL_POLICIES = (ALWAYS, IF_NOT_PRESENT, NEVER)
ALL, SAFE, NONE = "all", "safe", "none"
CONTAINER_CONTEXTS = (ALL, SAFE, NONE)

RUN_TAGS = (
    *("host", "labels", "memory", "cpus", "gpus"),
    *("shm_size", "user", "stop_timeout", "container_kwargs"),
)
# None of them reaches outside the container; root inside it is what any image may be anyway.
HARMLESS_KWARGS = (
    *("cap_drop", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems"),
    *("dns", "dns_opt", "dns_search", "hostname", "init", "mem_limit", "mem_reservation", "mem_swappiness"),
    *("memswap_limit", "nano_cpus", "pids_limit", "read_only", "shm_size", "stop_signal", "stop_timeout"),
    *("tmpfs", "ulimits", "user", "working_dir"),
)
# Whoever may set one of them for a run is root on its host, or near it, or escapes our bookkeeping.
REACHING_THE_HOST = frozenset(
    {"cap_add", "cgroup_parent", "cgroupns", "device_cgroup_rules", "devices", "host_config", "ipc_mode"}
    | {"labels", "log_config", "mounts", "network_mode", "oom_kill_disable", "oom_score_adj", "pid_mode"}
    | {"ports", "privileged", "publish_all_ports", "runtime", "security_opt", "storage_opt", "sysctls"}
    | {"userns_mode", "uts_mode", "volume_driver", "volumes", "volumes_from"}
)


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
    "secret_env_files": _optional(
        Array(StringSource),
        "Files of KEY=VALUE lines on the Docker host, mounted and exported in the container ({location} is"
        " replaced): their content is in no configuration and not in `docker inspect`.",
    ),
}

_PLACEMENT = _optional(
    StringSource,
    "Which host of a pool: least_loaded (fewest runs, or the least of its capacity in use), spread (fewest"
    " runs of the same location), pack (the fullest that has room).",
)
_PULL_POLICY = _optional(StringSource, "always, if_not_present or never; location before host before all.")
_LABELS = "Text labels; YAML's true and false become the text."

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
    "max_runs": _optional(IntSource, "Most unfinished runs at once on this host; 0 drains it."),
    "cpus": _optional(Float, "CPUs that its runs may ask for together, by nano_cpus, cpu_quota or tag."),
    "memory": _optional(StringSource, "Memory, like 64g, that its runs may ask for together."),
    "labels": _optional(dict, _LABELS),
    "pull_policy": _PULL_POLICY,
    **_CONTAINER,
    "env_file": _optional(StringSource, "A .env file beside the launcher, for this host's runs."),
    "inherit_env_from_container": _optional(
        StringSource, "The code server's container ({location} is replaced) to inherit variables from."
    ),
    "inherit_env_vars": _optional(
        Array(StringSource), "Names of the variables to inherit from that container; none by default."
    ),
    "inherit_networks": _optional(
        Array(StringSource), "Which of that container's networks runs join too; `*_default` matches."
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

_LAUNCHER = {
    "module": Field(StringSource, description="The module of another run launcher, as in dagster.yaml."),
    "class": Field(StringSource, description="Its class."),
    "config": _optional(dict, "Its configuration, checked against its own schema at load."),
}

_LOCATION = {
    "image": _optional(StringSource, "The image of this location's runs."),
    **_CONTAINER,
    "host_labels": _optional(dict, f"Labels that a host must have to run this location. {_LABELS}"),
    "placement": _PLACEMENT,
    "pull_policy": _PULL_POLICY,
    "docker_socket": _optional(
        StringSource, "The host's Docker socket, for docker_executor: whoever has it is root on the host."
    ),
    "launcher": _optional(_LAUNCHER, "Hand this location's runs to another launcher, for instance K8s."),
}

_RUN_TAGS = {
    "allowed": _optional(Array(StringSource), f"Which multihost/ tags count; all by default: {RUN_TAGS}."),
    "container_kwargs": _optional(
        Array(StringSource), f"What multihost/container_kwargs may hold; by default {HARMLESS_KWARGS}."
    ),
}


def step_schema() -> dict[str, Any]:
    """Return what docker_executor's configuration says about a step's container, as in dagster-docker."""
    return {
        "image": _optional(StringSource, "Another image than the run's; the host must have it."),
        "network": _CONTAINER["network"],
        "networks": _CONTAINER["networks"],
        "env_vars": _CONTAINER["env_vars"],
        "container_kwargs": _CONTAINER["container_kwargs"],
    }


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
        "placement": _PLACEMENT,
        "pull_policy": _PULL_POLICY,
        "run_tags": _optional(_RUN_TAGS, "What a run may ask for with its tags."),
        "container_context": _optional(
            StringSource,
            "What code servers' container_context may say: all (as in dagster-docker), safe (KEY=VALUE"
            " variables, and what run_tags allows) or none.",
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

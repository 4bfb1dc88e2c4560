"""The instance as run workers get it: they need none of the packages that the control plane has."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.instance import InstanceRef
from dagster._serdes import ConfigurableClassData

_DAGSTERS_OWN = "dagster."
_STOCK_COORDINATOR = ("dagster._core.run_coordinator", "QueuedRunCoordinator")
_HEEDED_BY_POOLS = "block_op_concurrency_limited_runs"
_OUR_MODULE = __name__.partition(".")[0]
# What an executor needs to reach the hosts. All else may be secret: registries, variables, other launchers.
_LAUNCHER_KEYS = ("container_label_prefix", "connect_timeout", "read_timeout")
_HOST_KEYS = ("host_name", "docker_url", "tls", "insecure", "location_names")


def for_workers(ref: InstanceRef) -> InstanceRef:
    """Return the reference without what would make a worker import the control plane's packages.

    Dagster loads the run launcher at once if runs may be resumed, and the run coordinator before every
    step, for the settings of pools (`InstanceConcurrencyContext`). So a worker gets no resume attempts,
    which are the daemon's business, and Dagster's own coordinator with the one key that pools heed.

    The reference is part of a worker's command, which `docker inspect` shows: of our own configuration only
    what names the hosts goes along.
    """
    return ref._replace(
        run_coordinator_data=_coordinator(ref.run_coordinator_data),
        run_launcher_data=_launcher(ref.run_launcher_data),
        settings=_settings(ref.settings),
    )


class WorkerInstance:
    """An instance that gives `for_workers` of its reference, and is the original in all else."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._original = instance

    def get_ref(self) -> InstanceRef:
        """Return the reference that workers can load."""
        return for_workers(self._original.get_ref())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


# A launch asks for the same answer as the one before it, and reading a fleet's YAML takes milliseconds.
@lru_cache(maxsize=8)
def _coordinator(data: ConfigurableClassData | None) -> ConfigurableClassData | None:
    if data is None or data.module_name.startswith(_DAGSTERS_OWN):
        return data
    config = {key: value for key, value in data.config_dict.items() if key == _HEEDED_BY_POOLS}
    return ConfigurableClassData(*_STOCK_COORDINATOR, yaml.safe_dump(config))


@lru_cache(maxsize=8)
def _launcher(data: ConfigurableClassData | None) -> ConfigurableClassData | None:
    if data is None or data.module_name.partition(".")[0] != _OUR_MODULE:
        return data
    config = _only(data.config_dict, _LAUNCHER_KEYS)
    hosts = data.config_dict.get("docker_hosts")
    if isinstance(hosts, Sequence):
        config["docker_hosts"] = [_only(host, _HOST_KEYS) for host in hosts]
    return ConfigurableClassData(data.module_name, data.class_name, yaml.safe_dump(config))


def _only(config: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: config[key] for key in keys if key in config}


def _settings(settings: Mapping[str, object]) -> Mapping[str, object]:
    monitoring = settings.get("run_monitoring")
    if not isinstance(monitoring, Mapping) or not monitoring.get("max_resume_run_attempts"):
        return settings
    return {**settings, "run_monitoring": {**monitoring, "max_resume_run_attempts": 0}}

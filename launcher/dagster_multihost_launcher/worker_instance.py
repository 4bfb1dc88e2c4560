"""The instance as run workers get it: they need none of the packages that the control plane has."""

from collections.abc import Mapping
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.instance import InstanceRef
from dagster._serdes import ConfigurableClassData

_DAGSTERS_OWN = "dagster."
_STOCK_COORDINATOR = ("dagster._core.run_coordinator", "QueuedRunCoordinator")
_HEEDED_BY_POOLS = "block_op_concurrency_limited_runs"


def for_workers(ref: InstanceRef) -> InstanceRef:
    """Return the reference without what would make a worker import the control plane's packages.

    Dagster loads the run launcher at once if runs may be resumed, and the run coordinator before every
    step, for the settings of pools (`InstanceConcurrencyContext`). So a worker gets no resume attempts,
    which are the daemon's business, and Dagster's own coordinator with the one key that pools heed.
    """
    return ref._replace(
        run_coordinator_data=_coordinator(ref.run_coordinator_data), settings=_settings(ref.settings)
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


def _coordinator(data: ConfigurableClassData | None) -> ConfigurableClassData | None:
    if data is None or data.module_name.startswith(_DAGSTERS_OWN):
        return data
    config = {key: value for key, value in data.config_dict.items() if key == _HEEDED_BY_POOLS}
    return ConfigurableClassData(*_STOCK_COORDINATOR, yaml.safe_dump(config))


def _settings(settings: Mapping[str, object]) -> Mapping[str, object]:
    monitoring = settings.get("run_monitoring")
    if not isinstance(monitoring, Mapping) or not monitoring.get("max_resume_run_attempts"):
        return settings
    return {**settings, "run_monitoring": {**monitoring, "max_resume_run_attempts": 0}}

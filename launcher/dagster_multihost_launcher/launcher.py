"""`MultiHostDockerRunLauncher`: each run on the Docker host of its code location."""

import logging
from collections.abc import Mapping
from typing import Any, Self

from dagster import DefaultRunLauncher
from dagster._config.config_schema import UserConfigSchema
from dagster._core.instance import DagsterInstance
from dagster._core.launcher.base import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from dagster_multihost_launcher import checks
from dagster_multihost_launcher.errors import LauncherConfigError
from dagster_multihost_launcher.schema import config_schema
from dagster_multihost_launcher.settings import Settings, read

logger = logging.getLogger("dagster.multihost_launcher")


class MultiHostDockerRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Starts runs of mapped code locations as containers, and hands the others to `DefaultRunLauncher`.

    Building it and loading an instance with it do no network I/O.
    """

    def __init__(self, settings: Settings, inst_data: ConfigurableClassData | None = None) -> None:
        found = checks.problems(settings)
        if found:
            raise LauncherConfigError(found)
        for sentence in checks.warnings(settings):
            logger.warning(sentence)
        self._inst_data = inst_data
        self._settings = settings
        self._default = DefaultRunLauncher()
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """The configuration this was loaded from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the keys of the reference launcher and of `DockerRunLauncher`, and ours."""
        return config_schema()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Build it from validated configuration; raise `LauncherConfigError` if that is wrong."""
        return cls(read(config_value), inst_data=inst_data)

    @property
    def settings(self) -> Settings:
        """The configuration as values."""
        return self._settings

    def register_instance(self, instance: DagsterInstance) -> None:
        """Take the instance, for the delegate too."""
        super().register_instance(instance)
        self._default.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's worker."""
        self._default.launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """End the run's worker."""
        return bool(self._default.terminate(run_id))  # type: ignore[no-untyped-call]

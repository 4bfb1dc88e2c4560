"""Runs of unmapped locations: Dagster's own launcher, which has the code server execute them."""

from typing import Any

from dagster import DagsterInstance, DefaultRunLauncher
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import LaunchRunContext, RunLauncher

from dagster_multihost_launcher import routing
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import Settings
from dagster_multihost_launcher.worker import DEFAULT, LAUNCHER_TYPE_TAG
from dagster_multihost_launcher.worker_instance import WorkerInstance


class Delegate:
    """`DefaultRunLauncher`, with our tag on the run and a word about names that look mistyped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._instance: WorkerInstance | None = None
        self.launcher: RunLauncher[Any] = DefaultRunLauncher()

    def register_instance(self, instance: DagsterInstance) -> None:
        """Take the instance: what code servers get of it can be loaded without our packages."""
        self._instance = WorkerInstance(instance)  # kept here, because the launcher only refers to it weakly
        self.launcher.register_instance(self._instance)

    def launch(self, instance: DagsterInstance, context: LaunchRunContext) -> None:
        """Hand the run to its code server; raise `LaunchError` if `strict` forbids that."""
        run = context.dagster_run
        location = routing.location_of(run)
        nearest = routing.nearest(self._settings, location)
        hint = f"; did you mean {nearest}?" if nearest else ""
        if self._settings.strict:
            raise LaunchError(
                f"No entry of docker_hosts names the code location {location}{hint} Add it to location_names"
                " of a host, or set strict: false to run it in its code server."
            )
        instance.add_run_tags(run.run_id, {LAUNCHER_TYPE_TAG: DEFAULT})
        if nearest:
            instance.report_engine_event(
                f"No entry of docker_hosts names the code location {location}{hint}"
                " The run goes to its code server.",
                run,
                EngineEventData({}),
            )
        self.launcher.launch_run(context)

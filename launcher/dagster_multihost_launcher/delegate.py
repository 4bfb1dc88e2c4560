"""Runs that others start: Dagster's own launcher for unmapped locations, or one that a location names.

Which launcher took a run is in its tag, so that whoever asks later asks the same one.
"""

import threading
from typing import Any

import yaml
from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClassData

from dagster_multihost_launcher import routing
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import Foreign, Settings
from dagster_multihost_launcher.worker import DEFAULT, DOCKER, LAUNCHER_TYPE_TAG
from dagster_multihost_launcher.worker_instance import WorkerInstance

AnyLauncher = RunLauncher[Any]


class Delegates:
    """`DefaultRunLauncher` and every launcher that a location names; the latter are built at first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._instance: WorkerInstance | None = None
        self._lock = threading.Lock()
        self._default: AnyLauncher = DefaultRunLauncher()
        self._foreign: dict[str, AnyLauncher] = {}

    def register_instance(self, instance: DagsterInstance) -> None:
        """Take the instance: what workers get of it can be loaded without our packages."""
        self._instance = WorkerInstance(instance)  # kept here, because launchers only refer to it weakly
        self._default.register_instance(self._instance)

    def launch(self, instance: DagsterInstance, context: LaunchRunContext) -> None:
        """Hand the run to its launcher; raise `LaunchError` if that is the default and we are `strict`."""
        run = context.dagster_run
        location = routing.location_of(run)
        foreign = self._settings.location(location).launcher
        if foreign:
            instance.add_run_tags(run.run_id, {LAUNCHER_TYPE_TAG: foreign.path})
            self._built(location, foreign).launch_run(context)
            return
        self._speak_of_unmapped(instance, run, location)
        instance.add_run_tags(run.run_id, {LAUNCHER_TYPE_TAG: DEFAULT})
        self._default.launch_run(context)

    def launcher_of(self, run: DagsterRun) -> AnyLauncher:
        """Return the launcher that has the run.

        Raises:
            LaunchError: the configuration does not name it any more.
        """
        location = routing.location_of(run)
        foreign = self._settings.location(location).launcher
        took = run.tags.get(LAUNCHER_TYPE_TAG, DOCKER)
        if foreign and took in (
            foreign.path,
            DOCKER,
        ):  # DOCKER: the tag is lost, or a re-execution's parent's
            return self._built(location, foreign)
        if took in (DEFAULT, DOCKER):
            return self._default
        raise LaunchError(
            f"Run {run.run_id} was taken by {took}, which `locations` of the run launcher does not name for"
            f" {location} any more. Put it back until its runs are finished."
        )

    def join(self, timeout: int) -> None:
        """Wait for what the launchers have under way, `timeout` seconds for each at most."""
        for launcher in (self._default, *self._foreign.values()):
            launcher.join(timeout)

    def dispose(self) -> None:
        """Dispose of every launcher that was built."""
        for launcher in (self._default, *self._foreign.values()):
            launcher.dispose()

    def _built(self, location: str, foreign: Foreign) -> AnyLauncher:
        with self._lock:
            if location not in self._foreign:
                data = ConfigurableClassData(
                    foreign.module, foreign.class_name, yaml.safe_dump(dict(foreign.config))
                )
                launcher: AnyLauncher = data.rehydrate(as_type=RunLauncher)  # type: ignore[type-abstract]
                launcher.register_instance(self._instance)
                self._foreign[location] = launcher
            return self._foreign[location]

    def _speak_of_unmapped(self, instance: DagsterInstance, run: DagsterRun, location: str) -> None:
        nearest = routing.nearest(self._settings, location)
        hint = f"; did you mean {nearest}?" if nearest else "."
        sentence = f"No entry of docker_hosts names the code location {location}{hint}"
        if self._settings.strict:
            raise LaunchError(
                f"{sentence} Add it to location_names of a host, or set strict: false to run it in its code"
                " server."
            )
        if nearest:
            instance.report_engine_event(
                f"{sentence} The run goes to its code server.", run, EngineEventData({})
            )

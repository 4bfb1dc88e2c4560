"""`CLTQueuedRunCoordinator`: Dagster's queue, with tags that a run cannot forge."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun, QueuedRunCoordinator
from dagster._config.config_schema import UserConfigSchema
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._serdes import ConfigurableClassData

from clt_queued_run_coordinator import checks, sole
from clt_queued_run_coordinator.errors import CoordinatorConfigError
from clt_queued_run_coordinator.journal.postgres import PostgresJournal
from clt_queued_run_coordinator.overrides import overridden
from clt_queued_run_coordinator.schema import Extensions, config_schema, split
from clt_queued_run_coordinator.submission import pooled, through_dagster

logger = logging.getLogger("dagster.run_coordinator.clt_queued_run_coordinator")


class CLTQueuedRunCoordinator(QueuedRunCoordinator[DagsterInstance]):
    """Enqueues runs as `QueuedRunCoordinator` does, after tagging each with its location and user.

    Both come from the control plane, never from the run, so `tag_concurrency_limits` on them hold.
    """

    def __init__(
        self,
        *,
        extensions: Extensions | None = None,
        inst_data: ConfigurableClassData | None = None,
        **base: Any,
    ) -> None:
        self._extensions = extensions or Extensions()
        found = [*sole.problems(), *checks.problems(base, self._extensions)]
        if found:
            raise CoordinatorConfigError(found)
        self._configured = base
        self._overrides_reported = False
        super().__init__(**base, inst_data=inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return `QueuedRunCoordinator`'s keys and ours."""
        return config_schema()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Build it from validated configuration; raise `CoordinatorConfigError` if that is wrong."""
        base, extensions = split(config_value)
        return cls(extensions=extensions, inst_data=inst_data, **base)

    @property
    def extensions(self) -> Extensions:
        """The keys that `QueuedRunCoordinator` does not have."""
        return self._extensions

    def register_instance(self, instance: DagsterInstance) -> None:
        """Take the instance, and report what its settings override here."""
        super().register_instance(instance)
        # Only a process that runs Dagster's daemons has loaded their controller.
        if "dagster._daemon.controller" in sys.modules:
            from clt_queued_run_coordinator import seams

            seams.replace_in_controller()
        # An instance that is given its coordinator registers it before it has settings.
        if getattr(instance, "_settings", None) is not None:
            self._report_overrides()

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the limits for the queue daemon, before `concurrency` in dagster.yaml is applied to them."""
        if self.has_instance:
            self._report_overrides()
        return super().get_run_queue_config()

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run, then queue it, or refuse it. A run that was submitted before stays as it is.

        Dagster's storage refuses to queue a run without a remote origin: such a run fails and says so.
        """
        journal = PostgresJournal.of(self._instance)
        if journal is None:
            return through_dagster.submit(self._instance, self._extensions, context, super().submit_run)
        return pooled.submit(self._instance, journal, self._extensions, context)

    def _report_overrides(self) -> None:
        if self._overrides_reported:
            return
        self._overrides_reported = True
        for sentence in overridden(self._configured, self._instance.get_settings("concurrency") or {}):
            logger.error(sentence)

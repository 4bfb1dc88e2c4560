"""`CLTQueuedRunCoordinator`: Dagster's queue, with tags that a run cannot forge."""

import logging
from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, QueuedRunCoordinator
from dagster import _check as check
from dagster._config.config_schema import UserConfigSchema
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._serdes import ConfigurableClassData

from clt_queued_run_coordinator import checks, sole
from clt_queued_run_coordinator.errors import CoordinatorConfigError
from clt_queued_run_coordinator.overrides import overridden
from clt_queued_run_coordinator.schema import Extensions, config_schema, split
from clt_queued_run_coordinator.trust import parent_run_id, trusted_tags

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
        # An instance that is given its coordinator registers it before it has settings.
        if getattr(instance, "_settings", None) is not None:
            self._report_overrides()

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the limits for the queue daemon, before `concurrency` in dagster.yaml is applied to them."""
        if self.has_instance:
            self._report_overrides()
        return super().get_run_queue_config()

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run, then enqueue it. A run that was submitted before keeps its tags.

        Dagster's storage refuses to queue a run without a remote origin: such a run fails and says so.
        """
        if context.dagster_run.status == DagsterRunStatus.NOT_STARTED:
            context = context._replace(dagster_run=self._tagged(context))
        try:
            return super().submit_run(context)
        except check.CheckError:
            if context.dagster_run.remote_job_origin:
                raise
            return self._failed_without_origin(context.dagster_run)

    def _tagged(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        tags = trusted_tags(context, self._extensions, self._parent(run))
        if not tags:
            return run
        self._instance.add_run_tags(run.run_id, tags)
        return run.with_tags({**run.tags, **tags})

    def _failed_without_origin(self, run: DagsterRun) -> DagsterRun:
        self._instance.report_run_failed(
            run,
            "It cannot be queued: it names no code location (no remote origin), so nobody could launch it."
            " Submit it through a workspace, for instance from the web UI or `dagster job launch`.",
        )
        return self._instance.get_run_by_id(run.run_id) or run

    def _parent(self, run: DagsterRun) -> DagsterRun | None:
        parent_id = parent_run_id(run)
        return self._instance.get_run_by_id(parent_id) if parent_id else None

    def _report_overrides(self) -> None:
        if self._overrides_reported:
            return
        self._overrides_reported = True
        for sentence in overridden(self._configured, self._instance.get_settings("concurrency") or {}):
            logger.error(sentence)

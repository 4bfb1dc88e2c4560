"""A container launch from its parts: a host with room, a plan, tags before the start, an event after it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, MetadataValue
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext

from dagster_multihost_launcher import environment, kwargs, routing
from dagster_multihost_launcher.errors import HostUnreachable, NoCapacity
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.image import image_of
from dagster_multihost_launcher.placement import Placement, Reservation, active_runs, pinned
from dagster_multihost_launcher.settings import ContainerSettings, Host, Settings
from dagster_multihost_launcher.start import Plan, Starter
from dagster_multihost_launcher.worker import Labels, Record, container_name

_MAY_START = frozenset({DagsterRunStatus.STARTING, DagsterRunStatus.STARTED})  # STARTED: it is resumed


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt of one run."""

    context: LaunchRunContext | ResumeRunContext
    command: Sequence[str]
    attempt: int

    @property
    def run(self) -> DagsterRun:
        """The run."""
        return self.context.dagster_run


class ContainerLauncher:
    """Starts attempts on the hosts of their location's pool."""

    def __init__(self, settings: Settings, hosts: Hosts, labels: Labels) -> None:
        self._settings = settings
        self._hosts = hosts
        self._labels = labels
        self._placement = Placement()

    def launch(self, instance: DagsterInstance, request: Request, pool: Sequence[Host]) -> None:
        """Start the attempt on the best host that answers.

        Raises:
            LaunchError: no retry heals it.
            RunPostponed: no host answers, or those that do are full.
        """
        left = pinned(request.run, request.attempt, pool)
        unreachable: list[HostUnreachable] = []
        while left:
            with self._placement.best(
                left, lambda name: active_runs(instance, name, besides=request.run)
            ) as place:
                if place is None:
                    raise self._full(left, unreachable)
                try:
                    self._launch_on(instance, request, place)
                    return
                except HostUnreachable as error:
                    if error.may_be_running:
                        raise
                    unreachable.append(error)
                    left.remove(place.host)
        raise _nobody_answers(unreachable)

    def _launch_on(self, instance: DagsterInstance, request: Request, place: Reservation) -> None:
        connection = self._hosts.named(place.host.name)
        plan = self._plan(request, connection)

        def tag_unless_canceled(container_id: str) -> bool:
            record = Record(host_name=connection.name, container_id=container_id, attempt=request.attempt)
            instance.add_run_tags(request.run.run_id, record.tags(request.run.run_id))
            place.release()
            now = instance.get_run_by_id(request.run.run_id)
            return now is not None and now.status in _MAY_START

        container_id = Starter(connection, self._labels).start(plan, tag_unless_canceled)
        if container_id is None:
            _report_canceled(instance, request.run.run_id)
        else:
            self._report_launched(instance, request.run, plan, connection.name, container_id)

    def _plan(self, request: Request, connection: HostConnection) -> Plan:
        run, host, defaults = request.run, connection.host, self._settings.defaults
        location_name = routing.location_of(run)
        location = self._settings.locations.get(location_name, ContainerSettings())
        inherited = {}
        if host.inherit_env_vars:
            with connection.api() as api:
                inherited = environment.inherited(api, host, location_name)
        return Plan(
            run_id=run.run_id,
            name=container_name(run.run_id, request.attempt),
            image=image_of(request.context, location, defaults),
            command=request.command,
            environment=environment.environment(
                defaults=defaults,
                host=host,
                location=location,
                inherited_variables=inherited,
                job_name=run.job_name,
                run_id=run.run_id,
            ),
            labels=self._labels.of(run, location=location_name, host_name=host.name, attempt=request.attempt),
            networks=_networks(defaults, host.container, location),
            kwargs=kwargs.merged(
                {"stop_timeout": self._settings.stop_timeout},
                defaults.container_kwargs,
                host.container.container_kwargs,
                location.container_kwargs,
            ),
            pull_timeout=self._settings.pull_timeout,
        )

    def _report_launched(
        self, instance: DagsterInstance, run: DagsterRun, plan: Plan, host_name: str, container_id: str
    ) -> None:
        metadata: dict[str, MetadataValue[Any]] = {
            "host": MetadataValue.text(host_name),
            "container": MetadataValue.text(plan.name),
        }
        if self._settings.log_url_template:
            url = log_url(self._settings.log_url_template, run, host_name)
            metadata["logs"] = MetadataValue.url(url)
        instance.report_engine_event(
            f"Started container {plan.name} ({container_id[:12]}) of image {plan.image} on {host_name}",
            run,
            EngineEventData(metadata),
        )

    def _full(self, left: Sequence[Host], unreachable: Sequence[HostUnreachable]) -> NoCapacity:
        full = ", ".join(f"{host.name} (max_runs {host.max_runs})" for host in left)
        dark = "".join(f"; {error.host_name} does not answer" for error in unreachable)
        return NoCapacity(
            f"no host has room: {full}{dark}", retry_after_seconds=self._settings.retry_after_seconds
        )


def log_url(template: str, run: DagsterRun, host_name: str) -> str:
    """Return the template with its placeholders filled, percent-encoded; other braces stay as they are."""
    values = {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "location": routing.location_of(run),
        "host_name": host_name,
        "launch_ms": str(int(time.time() * 1000)),
    }
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template


def _networks(*layers: ContainerSettings) -> tuple[str, ...]:
    """Return the host's networks, or else the defaults', and then the location's additions."""
    defaults, host, location = layers
    return tuple(dict.fromkeys((*(host.networks or defaults.networks), *location.networks)))


def _nobody_answers(unreachable: Sequence[HostUnreachable]) -> HostUnreachable:
    first = unreachable[0]
    if len(unreachable) == 1:
        return first
    facts = "; ".join(error.reason for error in unreachable)
    return HostUnreachable(
        ", ".join(error.host_name for error in unreachable),
        facts,
        retry_after_seconds=min(error.retry_after_seconds for error in unreachable),
    )


def _report_canceled(instance: DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceled(run, "Canceled before its container was started.")

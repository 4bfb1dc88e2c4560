"""From a run to the container it gets on a host: every layer of the configuration, the lowest first.

Defaults, host, the code server's container_context, location, the run's own tags. Later layers win;
volumes, networks, variables and the like add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagster import DagsterRun
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext

from dagster_multihost_launcher import (
    container_context,
    environment,
    kwargs,
    placement,
    routing,
    run_tags,
    step_socket,
)
from dagster_multihost_launcher.container_context import Context
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.image import image_of
from dagster_multihost_launcher.placement import Wanted
from dagster_multihost_launcher.run_tags import Wish
from dagster_multihost_launcher.settings import ContainerSettings, Host, Location, Settings
from dagster_multihost_launcher.start import Plan
from dagster_multihost_launcher.worker import Labels, container_name, record_of

IMAGE_DIGEST_TAG = "multihost_docker/image_digest"


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


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request with all that is known before a host is chosen."""

    request: Request
    location_name: str
    location: Location
    context: Context
    wish: Wish
    image: str


class Planner:
    """Makes plans from one configuration."""

    def __init__(self, settings: Settings, labels: Labels) -> None:
        self._settings = settings
        self._labels = labels

    def order(self, request: Request) -> Order:
        """Return what the run brings; raise `LaunchError` if that is wrong or not allowed."""
        run = request.run
        location_name = routing.location_of(run)
        location = self._settings.location(location_name)
        return Order(
            request=request,
            location_name=location_name,
            location=location,
            context=container_context.read(run, self._settings),
            wish=run_tags.read(run.tags, self._settings.run_tags),
            image=_as_recorded(run, image_of(request.context, location, self._settings.defaults)),
        )

    def wanted(self, order: Order, pool: Sequence[Host]) -> Wanted:
        """Return what the run wants of a host of the pool."""
        return Wanted(
            location=order.location_name,
            strategy=order.location.placement or self._settings.placement,
            pin=order.wish.host,
            avoid=order.wish.avoid,
            labels={**order.location.host_labels, **order.wish.labels},
            shares={
                host.name: placement.share_of(order.location_name, self._arguments(order, host))
                for host in pool
            },
        )

    def plan(self, order: Order, connection: HostConnection) -> Plan:
        """Return the container for the run on this host; asks the host only if it is to inherit."""
        request, run, host = order.request, order.request.run, connection.host
        inherited = environment.Inherited()
        if environment.wants_to_inherit(host):
            with connection.api() as api:
                inherited = environment.inherited(api, host, order.location_name)
        return layered(
            self._settings,
            host,
            order.location_name,
            context=order.context.container,
            inherited=inherited,
            run_id=run.run_id,
            job_name=run.job_name,
            name=container_name(run.run_id, request.attempt),
            image=order.image,
            command=request.command,
            labels=self._labels.of(
                run, location=order.location_name, host_name=host.name, attempt=request.attempt
            ),
            kwargs=self._arguments(order, host),
            registry=order.context.registry,
        )

    def _arguments(self, order: Order, host: Host) -> dict[str, Any]:
        return kwargs.merged(
            {"stop_timeout": self._settings.stop_timeout},
            self._settings.defaults.container_kwargs,
            host.container.container_kwargs,
            order.context.container.container_kwargs,
            order.location.container_kwargs,
            step_socket.mounted(order.location.docker_socket),
            order.wish.container_kwargs,
        )


def layered(
    settings: Settings,
    host: Host,
    location_name: str,
    *,
    context: ContainerSettings,
    inherited: environment.Inherited,
    job_name: str,
    **particulars: Any,
) -> Plan:
    """Return the plan of these particulars with the variables, networks and files of every layer."""
    location, defaults = settings.location(location_name), settings.defaults
    networks = (
        *(host.container.networks or defaults.networks),
        *inherited.networks,
        *context.networks,
        *location.networks,
    )
    files = (*defaults.secret_env_files, *host.container.secret_env_files, *location.secret_env_files)
    return Plan(
        environment=environment.environment(
            defaults=defaults,
            host=host,
            context=context,
            location=location,
            inherited_variables=inherited.variables,
            job_name=job_name,
            run_id=particulars["run_id"],
        ),
        networks=tuple(dict.fromkeys(networks)),
        pull_timeout=settings.pull_timeout,
        pull_policy=settings.pull_policy_for(host, location),
        secret_env_files=[path.replace("{location}", location_name) for path in files],
        **particulars,
    )


def _as_recorded(run: DagsterRun, image: str) -> str:
    """Return the very image that an earlier attempt of the run used, if its name is still the same.

    An id without a registry's digest means nothing on another host, so the name has to do there.
    """
    recorded = run.tags.get(IMAGE_DIGEST_TAG, "")
    return recorded if record_of(run) and recorded.startswith(f"{image}@") else image

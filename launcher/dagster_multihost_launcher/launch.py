"""A container launch from its parts: a host with room, a plan, tags before the start, an event beside it."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, MetadataValue, RunsFilter
from dagster._core.events import EngineEventData

from dagster_multihost_launcher import placement, reservations, routing
from dagster_multihost_launcher.errors import HostUnreachable, NoCapacity
from dagster_multihost_launcher.hosts import Hosts
from dagster_multihost_launcher.planning import IMAGE_DIGEST_TAG, Order, Planner, Request
from dagster_multihost_launcher.pull_report import PullReport
from dagster_multihost_launcher.pulling import Image
from dagster_multihost_launcher.reservations import Reservation, Reservations
from dagster_multihost_launcher.settings import Host, Settings
from dagster_multihost_launcher.start import Plan, Starter
from dagster_multihost_launcher.worker import Labels, Record

logger = logging.getLogger("dagster.multihost_launcher")

_MAY_START = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED)  # STARTED: it is resumed


class ContainerLauncher:
    """Starts attempts on the hosts of their location's pool."""

    def __init__(self, settings: Settings, hosts: Hosts, labels: Labels) -> None:
        self._settings = settings
        self._hosts = hosts
        self._labels = labels
        self._planner = Planner(settings, labels)
        self._reservations = Reservations()

    def launch(self, instance: DagsterInstance, request: Request, pool: Sequence[Host]) -> None:
        """Start the attempt on the best host that answers.

        Raises:
            LaunchError: no retry heals it.
            RunPostponed: no host answers, or those that do have no room.
        """
        order = self._planner.order(request)
        wanted = self._planner.wanted(order, pool)
        left = reservations.may_hold_a_container(request.run, request.attempt, pool)
        left = left or placement.eligible(pool, wanted)
        unreachable: list[HostUnreachable] = []
        while left:
            hosts = tuple(left)
            with self._reservations.best(
                hosts,
                wanted,
                lambda hosts=hosts: reservations.carried(instance, hosts, besides=request.run),  # type: ignore[misc]
            ) as place:
                if not isinstance(place, Reservation):
                    raise self._no_room(place, unreachable)
                try:
                    self._launch_on(instance, order, place, reservations.tags_of(wanted.share(place.host)))
                    return
                except HostUnreachable as error:
                    if error.may_be_running:
                        raise
                    unreachable.append(error)
                    left.remove(place.host)
        raise _nobody_answers(unreachable)

    def _launch_on(
        self, instance: DagsterInstance, order: Order, place: Reservation, share: dict[str, str]
    ) -> None:
        connection, request = self._hosts.named(place.host.name), order.request
        plan = self._planner.plan(order, connection)
        report = PullReport(instance, request.run)
        starter = Starter(connection, self._labels, report)

        with contextlib.ExitStack() as beside, connection.metrics.launch(connection.name):

            def tag_unless_canceled(container_id: str) -> bool:
                report.done()
                record = Record(host_name=connection.name, container_id=container_id, attempt=request.attempt)
                tags = {**record.tags(request.run.run_id), **share, **_image_tag(starter.image)}
                instance.add_run_tags(request.run.run_id, tags)
                place.release()
                if not _may_start(instance, request.run.run_id):
                    return False
                digest = starter.image.digest if starter.image else plan.image
                beside.enter_context(
                    _beside(lambda: self._report(instance, request.run, plan, record, digest))
                )
                return True

            container_id = starter.start(plan, tag_unless_canceled)
        if container_id is None:
            _report_canceled(instance, request.run.run_id)

    def _report(
        self, instance: DagsterInstance, run: DagsterRun, plan: Plan, record: Record, digest: str
    ) -> None:
        instance.report_engine_event(
            f"Starting container {plan.name} ({record.container_id[:12]}) of image {plan.image} on"
            f" {record.host_name}",
            run,
            EngineEventData(self._metadata(run, plan.name, digest, record.host_name)),
        )

    def _metadata(
        self, run: DagsterRun, container: str, digest: str, host_name: str
    ) -> dict[str, MetadataValue[Any]]:
        metadata: dict[str, MetadataValue[Any]] = {
            "host": MetadataValue.text(host_name),
            "container": MetadataValue.text(container),
            "image": MetadataValue.text(digest),
        }
        if self._settings.log_url_template:
            url = log_url(self._settings.log_url_template, run, host_name)
            metadata["logs"] = MetadataValue.url(url)
        return metadata

    def _no_room(self, reasons: Sequence[str], unreachable: Sequence[HostUnreachable]) -> NoCapacity:
        dark = [f"{error.host_name} does not answer" for error in unreachable]
        return NoCapacity(
            f"no host has room: {'; '.join((*reasons, *dark))}",
            retry_after_seconds=self._settings.retry_after_seconds,
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


def _image_tag(image: Image | None) -> dict[str, str]:
    return {IMAGE_DIGEST_TAG: image.reference} if image else {}


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


@contextlib.contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Do the work while the block goes on; that it failed is only logged.

    Docker takes twenty times as long to start a container as Dagster to store an event (make bench-launch).
    """

    def logged() -> None:
        try:
            work()
        except Exception:
            logger.exception("The event that says where a container starts could not be stored.")

    thread = threading.Thread(target=logged, name="launch-event", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _may_start(instance: DagsterInstance, run_id: str) -> bool:
    # Half the time of get_run_by_id, which reads more than is asked here.
    return bool(instance.get_run_ids(RunsFilter(run_ids=[run_id], statuses=list(_MAY_START)), limit=1))


def _report_canceled(instance: DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceled(run, "Canceled before its container was started.")

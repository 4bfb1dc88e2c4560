"""Starting one attempt's container on one host: exactly one, or none."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from dagster_multihost_launcher import schema, secret_files
from dagster_multihost_launcher.api import DockerApi
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError, RunPostponed
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.kwargs import create_arguments
from dagster_multihost_launcher.pulling import Image, Request
from dagster_multihost_launcher.settings import Registry
from dagster_multihost_launcher.worker import Labels, worker_from

_CONFLICT = 409
_NAME_TAKEN_SECONDS = 10.0
_NAME_TAKEN_PAUSE = 0.1
_FORBIDDEN = 403
_NOT_ALLOWED = frozenset({401, _FORBIDDEN})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a container is made from."""

    run_id: str
    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    networks: Sequence[str]
    kwargs: Mapping[str, Any]
    pull_timeout: float
    pull_policy: str = schema.IF_NOT_PRESENT
    registry: Registry | None = None
    secret_env_files: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same plan, another for another one."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def image_request(self) -> Request:
        """The image, and how it may be got."""
        return Request(
            name=self.image, policy=self.pull_policy, registry=self.registry, timeout=self.pull_timeout
        )


def _silent(_: str) -> None:
    """Nobody wants to hear how the pull goes."""


class Starter:
    """Starts planned containers on one host."""

    def __init__(
        self, connection: HostConnection, labels: Labels, tick: Callable[[str], None] = _silent
    ) -> None:
        self._connection = connection
        self._labels = labels
        self._tick = tick
        self.image: Image | None = None  # the one that the container is made from, once that is known

    def start(self, plan: Plan, before_start: Callable[[str], bool]) -> str | None:
        """Create the container, call `before_start` with its id, start it and return its id.

        None if `before_start` says no: the container is gone again then, as it is after any failure.
        With the image present and known this takes two calls of the Docker API.

        Raises:
            LaunchError: no retry heals it.
            HostUnreachable: nothing runs; another host may take the run.
        """
        container_id, running = self._created(plan)
        if running:
            before_start(container_id)
            return container_id
        try:
            if not before_start(container_id):
                self._removed(container_id)
                return None
            self._begin(container_id, plan)
        except HostUnreachable:
            raise
        except BaseException:
            self._removed(container_id)
            raise
        return container_id

    def _created(self, plan: Plan) -> tuple[str, bool]:
        """Return the container's id, and whether another launch of the attempt has already started it."""
        deadline = time.monotonic() + _NAME_TAKEN_SECONDS
        while time.monotonic() < deadline:
            try:
                return self._create_again_if_image_left(plan), False
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise self._refused(plan, error) from error
            found = self._adopted(plan)
            if found:
                return found
            time.sleep(_NAME_TAKEN_PAUSE)
        raise RunPostponed(
            f"Docker host {self._connection.name} keeps the name {plan.name} for a container that is neither"
            " there nor gone",
            retry_after_seconds=_NAME_TAKEN_SECONDS,
        )

    def _create_again_if_image_left(self, plan: Plan) -> str:
        try:
            return self._create(plan)
        except ImageNotFound:
            # It was known a moment ago: somebody removed it from the host.
            self._connection.images.forget(plan.image)
            return self._create(plan)

    def _create(self, plan: Plan) -> str:
        image = self.image = self._connection.images.resolved(plan.image_request, self._tick)
        kwargs = secret_files.added(plan.kwargs, plan.secret_env_files, image.entrypoint)
        with self._connection.api() as api:
            arguments = create_arguments(kwargs, networks=plan.networks, version=api.api_version)
            answer = api.create_container(
                image.reference,
                command=list(plan.command),
                environment=dict(plan.environment),
                name=plan.name,
                detach=True,
                **{**arguments, "labels": self._all_labels(plan, arguments.get("labels"))},
            )
        return str(answer["Id"])

    def _all_labels(self, plan: Plan, given: Any) -> dict[str, str]:
        given = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given or (), "")
        return {**given, **plan.labels, self._labels.plan: plan.fingerprint}

    def _adopted(self, plan: Plan) -> tuple[str, bool] | None:
        """Take over what another launch of the same attempt made; None if its name is or becomes free."""
        try:
            with self._connection.api() as api:
                worker = worker_from(self._connection.name, api.inspect_container(plan.name))
        except NotFound:  # Docker takes a name before the container is there
            return None
        owner = self._labels.run_id(worker.config.get("Labels"))
        if owner != plan.run_id:
            raise LaunchError(
                f"Docker host {self._connection.name} has a container {plan.name} that belongs to"
                f" {'run ' + owner if owner else 'something else'}. Remove it, then launch the run again."
            )
        if worker.alive:
            return worker.container_id, True
        made_from = (worker.config.get("Labels") or {}).get(self._labels.plan)
        if worker.status == "created" and made_from == plan.fingerprint:
            # Whoever made it may be about to start it: to start a container twice is to start it once.
            return worker.container_id, False
        self._removed(worker.container_id)
        return None

    def _begin(self, container_id: str, plan: Plan) -> None:
        try:
            with self._connection.api() as api:
                for network in plan.networks[1:]:
                    _connect(api, container_id, network)
                api.start(container_id)
        except APIError as error:
            raise self._refused(plan, error) from error
        except HostUnreachable as error:
            self._fence(container_id, error)
            raise

    def _fence(self, container_id: str, error: HostUnreachable) -> None:
        """Make sure that nothing runs; without that certainty, no other host may take the run."""
        if not self._removed(container_id):
            raise HostUnreachable(
                self._connection.name,
                f"the start of {container_id[:12]} was not answered, so it may be running ({error.reason})",
                retry_after_seconds=error.retry_after_seconds,
                may_be_running=True,
            ) from error

    def _removed(self, container_id: str) -> bool:
        with contextlib.suppress(HostUnreachable, APIError), self._connection.api_now() as api:
            with contextlib.suppress(NotFound):
                api.remove_container(container_id, force=True, v=True)
            return True
        return False

    def _refused(self, plan: Plan, error: APIError) -> LaunchError:
        fact = str(error.explanation or error).strip()
        return LaunchError(
            f"Docker host {self._connection.name} refuses the container of image {plan.image}: {fact}."
            f" {_remedy(error.status_code, fact, plan)}"
        )


def _remedy(status: int | None, fact: str, plan: Plan) -> str:
    if status in _NOT_ALLOWED:
        return "The launcher's client certificate may not do this on that host: see its Docker API's rules."
    if plan.networks and "network" in fact and "not found" in fact:
        return f"Create it there (docker network create {plan.networks[0]}), or correct its name."
    if "invalid reference" in fact:
        return "Correct the image's name: DAGSTER_CURRENT_IMAGE of the code server, or the tag dagster/image."
    if "bind source path does not exist" in fact:
        return "Create it on that host: secret_env_files, volumes and mounts are paths of the Docker host."
    if "executable file not found" in fact or "no such file" in fact:
        return "The image must contain Dagster on its PATH, and the entrypoint of container_kwargs."
    return "Correct container_kwargs, networks or the image, then launch the run again."


def _connect(api: DockerApi, container_id: str, network: str) -> None:
    try:
        api.connect_container_to_network(container_id, network)
    except APIError as error:
        if error.status_code != _FORBIDDEN or "already exists in network" not in str(error.explanation):
            raise

"""Getting an image to a host, once for all runs that wait for it, and saying exactly which image that is."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound, InvalidRepository
from docker.utils import parse_repository_tag

from dagster_multihost_launcher import schema
from dagster_multihost_launcher.errors import LaunchError, RunPostponed
from dagster_multihost_launcher.image import belongs_to
from dagster_multihost_launcher.settings import Registry

if TYPE_CHECKING:
    from dagster_multihost_launcher.hosts import HostConnection

Tick = Callable[[str], None]

_KNOWN_SECONDS = 60  # how long a name keeps its meaning: a rebuilt `etl:dev` is noticed after this
_TICK_SECONDS = 1
_RETRY_SECONDS = 30
_NO_RETRY_HEALS = (
    "not found",
    "manifest unknown",
    "denied",
    "unauthorized",
    "no basic auth credentials",
    "invalid reference",
    "no matching",
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """An image by the name that somebody wrote, and how it may be got."""

    name: str
    policy: str = schema.IF_NOT_PRESENT
    registry: Registry | None = None
    timeout: float = schema.DEFAULT_PULL_TIMEOUT


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that a host has.

    `reference` means this image and never another one: NAME@DIGEST if it came from a registry, else the
    image's id. `digest` is that digest or id.
    """

    name: str
    reference: str
    digest: str
    entrypoint: tuple[str, ...] = ()


class Images:
    """The images of one host. Safe to share between threads."""

    def __init__(self, connection: "HostConnection", clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Image, float]] = {}
        self._pulls: dict[str, _Pull] = {}

    def resolved(self, request: Request, tick: Tick) -> Image:
        """Return the image, pulled if the policy wants that; `tick` hears about a pull every second.

        Threads that want the same image at once share one pull. What a name means is asked once and kept
        for a minute, except with `always`.

        Raises:
            LaunchError: no retry heals it. RunPostponed, HostUnreachable: one may.
        """
        if request.policy != schema.ALWAYS:
            found = self._remembered(request.name) or self._inspected(request.name)
            if found:
                return found
        if request.policy == schema.NEVER:
            raise LaunchError(
                f"Docker host {self._connection.name} does not have the image {request.name}, and pull_policy"
                " is never. Load it there, or write pull_policy: if_not_present."
            )
        self._pulled(request, tick)
        found = self._inspected(request.name)
        if not found:
            raise RunPostponed(
                f"Docker host {self._connection.name} pulled {request.name}, and has it no more",
                retry_after_seconds=_RETRY_SECONDS,
            )
        return found

    def forget(self, name: str) -> None:
        """Ask again what this name means: the host does not know the image that it meant."""
        with self._lock:
            self._known.pop(name, None)

    def _remembered(self, name: str) -> Image | None:
        with self._lock:
            image, until = self._known.get(name, (None, 0.0))
        return image if self._clock() < until else None

    def _inspected(self, name: str) -> Image | None:
        try:
            with self._connection.api() as api:
                image = _image(name, api.inspect_image(name))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
        except APIError as error:
            raise refused(self._connection.name, name, str(error.explanation or error)) from error
        with self._lock:
            self._known[name] = (image, self._clock() + _KNOWN_SECONDS)
        return image

    def _pulled(self, request: Request, tick: Tick) -> None:
        with self._lock:
            pull = self._pulls.get(request.name)
            if pull is None:
                pull = self._pulls[request.name] = _Pull(self._connection, request)
                pull.outcome.add_done_callback(lambda _: self._over(request.name))
                pull.begin()
        deadline = self._clock() + request.timeout
        while not concurrent.futures.wait([pull.outcome], timeout=_TICK_SECONDS).done:
            tick(f"Pulling {request.name} on {self._connection.name}: {pull.progress}")
            if self._clock() > deadline:
                raise LaunchError(
                    f"Pulling {request.name} on Docker host {self._connection.name} took longer than"
                    f" {request.timeout:g} s ({pull.progress}). Pull it there beforehand, or raise"
                    " pull_timeout."
                )
        pull.outcome.result()

    def _over(self, name: str) -> None:
        with self._lock:
            self._pulls.pop(name, None)


class _Pull:
    """One pull in a thread of its own, so that everyone who waits for it can say how it goes."""

    def __init__(self, connection: "HostConnection", request: Request) -> None:
        self._connection = connection
        self._request = request
        self.outcome: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.progress = "asking the registry"

    def begin(self) -> None:
        threading.Thread(target=self._run, name=f"pull-{self._request.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            with self._connection.metrics.pull(self._connection.name):
                self._pull()
        except Exception as error:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(None)

    def _pull(self) -> None:
        host_name, name = self._connection.name, self._request.name
        try:
            with self._connection.api_for_pull() as api:
                lines: Iterable[Mapping[str, Any]] = api.pull(
                    name, stream=True, decode=True, auth_config=self._login()
                )
                layers: dict[str, tuple[int, int]] = {}
                for line in lines:
                    if error := line.get("error"):
                        raise refused(host_name, name, str(error))
                    self.progress = _progress(layers, line) or self.progress
        except APIError as error:
            raise refused(host_name, name, str(error.explanation or error)) from error
        except InvalidRepository as error:
            raise refused(host_name, name, f"invalid reference: {error}") from error

    def _login(self) -> dict[str, str] | None:
        """Return the registry's credentials, sent with this pull only; None: those of `docker login`."""
        registry = self._request.registry or self._connection.host.registry
        if not registry or not belongs_to(self._request.name, registry):
            return None
        return {"username": registry.username, "password": registry.password}


def refused(host_name: str, image: str, fact: str) -> LaunchError | RunPostponed:
    """Return what Docker's refusal to pull an image means: final, or worth another try."""
    if any(phrase in fact.lower() for phrase in _NO_RETRY_HEALS):
        return LaunchError(
            f"Docker host {host_name} cannot get the image {image}: {fact.strip()}. Check its name and"
            " tag, and the registry's credentials for that host."
        )
    return RunPostponed(
        f"Docker host {host_name} could not pull {image}: {fact.strip()}", retry_after_seconds=_RETRY_SECONDS
    )


def _image(name: str, inspected: Mapping[str, Any]) -> Image:
    repository = parse_repository_tag(name)[0]
    digests = (entry.partition("@")[::2] for entry in inspected.get("RepoDigests") or ())
    digest = next((digest for found, digest in digests if found == repository), None)
    image_id = str(inspected["Id"])
    config = inspected.get("Config") or {}
    entrypoint = tuple(config.get("Entrypoint") or ())
    if "@" in name:
        return Image(name=name, reference=name, digest=name.partition("@")[2], entrypoint=entrypoint)
    return Image(
        name=name,
        reference=f"{name}@{digest}" if digest else image_id,
        digest=digest or image_id,
        entrypoint=entrypoint,
    )


def _progress(layers: dict[str, tuple[int, int]], line: Mapping[str, Any]) -> str | None:
    """Take a line of Docker's into account, and return how much is here."""
    detail = line.get("progressDetail") or {}
    if line.get("status") == "Downloading" and detail.get("total"):
        layers[str(line.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
    elif line.get("status") in ("Download complete", "Pull complete") and str(line.get("id")) in layers:
        total = layers[str(line["id"])][1]
        layers[str(line["id"])] = (total, total)
    if not layers:
        return None
    here, total = (sum(part) / 1e6 for part in zip(*layers.values(), strict=True))
    return f"{here:.1f} of {total:.1f} MB"

"""Phase: what hosts run gets there without a registry: built if missing here, sent if missing there."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.derive.registry import pulled
from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image import (
    PushResult,
    artifacts,
    build_control_plane,
    control_plane_reference,
    docker_endpoint,
    launcher_package,
    process_release,
    push,
)
from dagfleet.phases.work import Work
from dagfleet.probe.units import count, size
from dagfleet.runner.reason import Failure

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

    from dagfleet.fleet import Fleet, FleetFile
    from dagfleet.image.export import Exports

PARALLEL = 4


@dataclass(frozen=True)
class Sent:
    """What one host was sent, by image; or why it could not be."""

    host: str
    results: Mapping[str, PushResult]
    error: DagfleetError | None = None


class Images:
    """Builds the control plane's image and process releases, and sends images to hosts that lack them."""

    title = "images"

    def run(self, work: Work) -> None:
        """Build and send; a host that cannot be sent its images stays behind."""
        started = time.monotonic()
        with work.progress.working(self.title, "looking what is missing") as now:
            built = build_releases(work.fleet_file, now)
            work.artifacts = artifacts(work.fleet_file)
            wanted = images_to_send(work.fleet)
            sent = send(work.fleet_file, {host: wanted[host] for host in work.going if host in wanted}, now)
        texts = [f"built {', '.join(built)}"] if built else []
        for each in sent:
            if each.error:
                work.stopped[each.host] = Failure(
                    each.host, "images: send what is missing", each.error.message
                )
                work.progress.line(self.title, f"{each.host}  {each.error.message}")
        # What runs there is to be made from what has just come.
        work.settled -= {each.host for each in sent if _bytes(each)}
        texts += [described(each) for each in sent if _bytes(each)]
        work.progress.line(self.title, " · ".join(texts) or "nothing missing", time.monotonic() - started)


def images_to_send(fleet: "Fleet", locations: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Return, per host, the images that hosts do not pull by themselves.

    The control plane's own image always; with `docker.images: push`, every location's too, but those of the
    fleet's own registry. `locations` names those to send in any case, and leaves the control plane's out.
    """
    wanted: dict[str, list[str]] = {}
    if locations is None and (fleet.control.image is None or not pulled(fleet, fleet.control.image)):
        wanted |= {host: [control_plane_reference(fleet)] for host in fleet.control_hosts}
    for name, location in fleet.locations.items():
        if location.image and (not pulled(fleet, location.image) if locations is None else name in locations):
            for host in location.hosts:
                wanted.setdefault(host, []).append(location.image)
    return {host: list(dict.fromkeys(references)) for host, references in wanted.items()}


def send(
    fleet_file: "FleetFile", wanted: Mapping[str, Sequence[str]], now: Callable[[str], None]
) -> list[Sent]:
    """Send every host the images it lacks, several hosts at once, as the launcher.

    Raises ConfigurationError when this machine has not got what a host lacks.
    """
    with _source() as source, ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda host: _send(fleet_file, host, wanted[host], source, now), wanted))


def build_releases(fleet_file: "FleetFile", now: Callable[[str], None]) -> list[str]:
    """Make what is missing of the launcher's wheel and process locations' archives; return their names."""
    built, wanted = [], artifacts(fleet_file)
    if not wanted.launcher.archive.is_file():
        launcher_package()
        built.append("launcher")
    for name, release in wanted.process_releases.items():
        if not release.archive.is_file():
            now(f"collecting the wheels of {name}")
            process_release(fleet_file, name)
            built.append(name)
    return built


def described(sent: Sent) -> str:
    """Return `beta 12 MiB (2 of 9 layers)`."""
    layers = sum(result.layers_sent for result in sent.results.values())
    total = sum(result.layers_total for result in sent.results.values())
    return f"{sent.host} {size(_bytes(sent))} ({layers} of {count(total, 'layer')})"


def _bytes(sent: Sent) -> int:
    return sum(result.bytes_sent for result in sent.results.values())


def _send(
    fleet_file: "FleetFile",
    host: str,
    references: Sequence[str],
    source: "Source",
    now: Callable[[str], None],
) -> Sent:
    import requests
    from docker.errors import DockerException

    results: dict[str, PushResult] = {}
    try:
        with closing(docker_endpoint(fleet_file, host, "launcher", timeout=600)) as target:
            for reference in references:
                results[reference] = _send_one(
                    fleet_file.fleet, reference, source, target, lambda text: now(f"{host}: {text}")
                )
    except (DockerException, requests.RequestException) as error:
        return Sent(host, results, _refused(fleet_file.fleet, host, error))
    except ConfigurationError:
        raise
    except DagfleetError as error:
        return Sent(host, results, error)
    return Sent(host, results)


def _refused(fleet: "Fleet", host: str, error: Exception) -> DagfleetError:
    address, port = fleet.hosts[host].address, fleet.hosts[host].docker_port
    if over_ssh(fleet):
        return DagfleetError(
            f"Docker on {host} does not take images by SSH: {error}",
            fix="see that Docker runs there and that you can log in with ssh: dagfleet doctor",
        )
    return DagfleetError(
        f"the Docker endpoint {address}:{port} does not take images: {error}",
        fix=f"see that HAProxy and Docker run on {host} and firewall.operators lists your address",
    )


def _send_one(
    fleet: "Fleet", reference: str, source: "Source", target: "DockerClient", now: Callable[[str], None]
) -> PushResult:
    ours = fleet.control.image is None and reference == control_plane_reference(fleet)
    # Our own image is named by its content: whoever has the name has the image.
    if ours and (layers := _layers(found(target, reference))):
        return PushResult(bytes_sent=0, layers_sent=0, layers_total=layers)
    if ours:
        source.build(fleet, now)
    now(reference)
    return push(
        reference,
        source.engine(),
        target,
        lambda sent, total: now(f"{reference} {size(sent)} of {size(total)}"),
        source.exports(),
    )


class Source:
    """This machine's Docker, asked for only when something has to come from it."""

    def __init__(self) -> None:
        from threading import Lock

        self._turn = Lock()
        self._engine: DockerClient | None = None
        self._exports: Exports | None = None

    def engine(self) -> "DockerClient":
        """Return a client; raises ConfigurationError when no Docker answers here."""
        import docker
        from docker.errors import DockerException

        with self._turn:
            if self._engine is None:
                try:
                    engine = docker.from_env(timeout=600)
                    # A proxy or CA bundle in the environment has no say over a local socket.
                    engine.api.trust_env = False
                    engine.ping()
                except DockerException as error:
                    raise ConfigurationError(
                        "hosts lack images, and no Docker answers on this machine to send them from",
                        fix="start Docker here, or let the hosts pull: docker.images: pull and control.image",
                    ) from error
                self._engine = engine
            return self._engine

    def exports(self) -> "Exports":
        """Return this machine's exports of images: one of each, however many hosts lack it."""
        from dagfleet.image.export import Exports

        engine = self.engine()
        with self._turn:
            self._exports = self._exports or Exports(engine)
            return self._exports

    def find(self, reference: str) -> "Image | None":
        """Return the image as this machine has it; None too when no Docker answers here."""
        try:
            return found(self.engine(), reference)
        except ConfigurationError:
            return None

    def build(self, fleet: "Fleet", now: Callable[[str], None]) -> None:
        """Build the control plane's image unless it is there."""
        engine = self.engine()
        with self._turn:
            now("building the control plane's image")
            build_control_plane(fleet, engine, lambda line: now(f"building: {line.strip()}"))

    def close(self) -> None:
        """Close the client and remove what was exported."""
        if self._exports is not None:
            self._exports.close()
        if self._engine is not None:
            self._engine.close()


@contextmanager
def _source() -> Iterator[Source]:
    with closing(Source()) as source:
        yield source


def found(engine: "DockerClient", reference: str) -> "Image | None":
    """Return an engine's image, or None."""
    from docker.errors import ImageNotFound

    try:
        return engine.images.get(reference)
    except ImageNotFound:
        return None


def same_image(here: "Image | None", there: "Image | None") -> bool:
    """Tell whether nothing would be sent: a host has the image, and this machine has no other by that name.

    Engines with containerd's image store name an image by its manifest; then layers and date decide.
    """
    if here is None or there is None or here.id == there.id:
        return there is not None
    ours, theirs = here.attrs, there.attrs
    return bool(ours["RootFS"] == theirs["RootFS"] and ours["Created"] == theirs["Created"])


def _layers(image: "Image | None") -> int:
    return len(image.attrs["RootFS"].get("Layers") or ()) if image else 0

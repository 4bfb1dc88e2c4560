"""A container like a run's on every host, without a run: what runs will need is tried before they do.

usage: python -m dagster_multihost_launcher.rehearsal '{"beta": {"etl": "etl:1"}}' (host, location, image),
with the instance in DAGSTER_HOME; prints a JSON list of {host, location, seconds, error, lines}.
"""

import contextlib
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from dagster import DagsterInstance
from dagster._serdes import serialize_value
from docker.errors import APIError, NotFound

from dagster_multihost_launcher import kwargs
from dagster_multihost_launcher.environment import Inherited
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError, RunPostponed
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.launcher import MultiHostDockerRunLauncher
from dagster_multihost_launcher.planning import layered
from dagster_multihost_launcher.settings import ContainerSettings
from dagster_multihost_launcher.start import Plan, Starter
from dagster_multihost_launcher.worker_instance import for_workers

PARALLEL = 8
PATIENCE_SECONDS = 240
POLL_SECONDS = 0.3
LABEL = "dagfleet.rehearsal"
# What a run's worker does first: it imports Dagster and opens the instance's storage.
_WORK = """
import sys
from dagster import DagsterInstance
from dagster._serdes import deserialize_value
with DagsterInstance.from_ref(deserialize_value(sys.argv[1])) as instance:
    instance.get_runs_count()
"""


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """How it went on one host with one location's image; `error` is None where it went well."""

    host: str
    location: str
    seconds: float
    error: str | None = None
    lines: Sequence[str] = ()


def rehearse(instance: DagsterInstance, wanted: Mapping[str, Mapping[str, str]]) -> list[Rehearsed]:
    """Rehearse every location's image on every host that is named, all at once."""
    launcher = instance.run_launcher
    if not isinstance(launcher, MultiHostDockerRunLauncher):
        raise LaunchError("The instance has another run launcher: there is nothing to rehearse.")
    pairs = [(host, location, image) for host, images in wanted.items() for location, image in images.items()]
    command = ["python", "-c", _WORK, serialize_value(for_workers(instance.get_ref()))]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda pair: _one(launcher, command, *pair), pairs))


def _one(
    launcher: MultiHostDockerRunLauncher, command: Sequence[str], host: str, location: str, image: str
) -> Rehearsed:
    started, lines = time.monotonic(), list[str]()
    error: str | None = None
    try:
        connection = launcher.hosts.named(host)
        plan = _plan(launcher, connection, location, image, command)
        error = _tried(launcher, connection, plan, lines)
    except (HostUnreachable, LaunchError, RunPostponed, APIError, OSError) as reason:
        error = str(reason)
    return Rehearsed(
        host=host, location=location, seconds=time.monotonic() - started, error=error, lines=tuple(lines)
    )


def _plan(
    launcher: MultiHostDockerRunLauncher,
    connection: HostConnection,
    location_name: str,
    image: str,
    command: Sequence[str],
) -> Plan:
    settings, host = launcher.settings, connection.host
    name = f"dagfleet-rehearsal-{location_name}-{uuid.uuid4().hex[:8]}"
    return layered(
        settings,
        host,
        location_name,
        context=ContainerSettings(),
        inherited=Inherited(),
        run_id=name,
        job_name="rehearsal",
        name=name,
        image=image,
        command=command,
        # No label of a run's: nobody adopts it, counts it or looks after it.
        labels={LABEL: location_name},
        kwargs=kwargs.merged(
            {"stop_timeout": settings.stop_timeout},
            settings.defaults.container_kwargs,
            host.container.container_kwargs,
            settings.location(location_name).container_kwargs,
        ),
        registry=host.registry,
    )


def _tried(
    launcher: MultiHostDockerRunLauncher, connection: HostConnection, plan: Plan, lines: list[str]
) -> str | None:
    """Start the container, wait for its end, remove it; return what went wrong."""
    container = Starter(connection, launcher.labels).start(plan, lambda _container_id: True) or plan.name
    try:
        code = _exit_code(connection, container)
        if code == 0:
            return None
        with connection.api() as api:
            lines += api.logs(container, tail=10).decode(errors="replace").splitlines()
        if code is None:
            return f"a container of {plan.image} did not end within {PATIENCE_SECONDS} s"
        return f"a container of {plan.image} ended with exit code {code}"
    finally:
        with connection.api_now() as api, contextlib.suppress(NotFound):
            api.remove_container(container, force=True, v=True)


def _exit_code(connection: HostConnection, container: str) -> int | None:
    """Return what the container ended with, None if it goes on; short questions pass every proxy's limits."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with connection.api() as api:
            state = api.inspect_container(container)["State"]
        if state["Status"] in {"exited", "dead"}:
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Rehearse what the argument says and print how it went."""
    with DagsterInstance.get() as instance:
        print(json.dumps([asdict(each) for each in rehearse(instance, json.loads(sys.argv[1]))]))


if __name__ == "__main__":
    main()

"""One look at all run containers of a host: the dead are removed, those that outlive their run are ended."""

import time
from collections import Counter
from collections.abc import Mapping

from dagster import DagsterInstance
from docker.errors import APIError, NotFound

from dagster_multihost_launcher.cleanup import listed, remove, run_states
from dagster_multihost_launcher.fate import Ages, Container, Fate, fate
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.termination import grace_of
from dagster_multihost_launcher.worker import Labels, worker_from

_NOT_RUNNING = 409


class Sweeper:
    """Sweeps one host. Two sweepers of a host do each other no harm: what is done already is as good."""

    def __init__(self, connection: HostConnection, labels: Labels, ages: Ages) -> None:
        self._connection = connection
        self._labels = labels
        self._ages = ages
        self._told_to_end: dict[str, float] = {}

    def sweep(self, instance: DagsterInstance) -> Mapping[str, int]:
        """Do what is due; return how often each was done: removed, stopped, killed.

        Raises:
            HostUnreachable: the host does not answer.
        """
        containers = listed(self._connection, self._labels)
        runs = run_states(instance, containers)
        done: Counter[str] = Counter()
        waiting: dict[str, float] = {}
        for container in containers:
            run = runs.get(container.run_id or "")
            verdict, _ = fate(container, run, ages=self._ages, now=time.time())
            if verdict is Fate.REMOVE:
                remove(self._connection, container.container_id)
                done["removed"] += 1
            elif verdict is Fate.KILL:
                remove(self._connection, container.container_id, force=True)
                done["killed"] += 1
            elif verdict is Fate.STOP:
                told = self._told_to_end.get(container.container_id)
                waiting[container.container_id] = time.monotonic() if told is None else told
                done[self._stop(container, told)] += 1
        self._told_to_end = waiting
        return done

    def _stop(self, container: Container, told: float | None) -> str:
        """Send SIGTERM, and SIGKILL if a later sweep finds it alive after its grace: nothing waits here."""
        try:
            with self._connection.api() as api:
                if told is None:
                    api.kill(container.container_id, signal="SIGTERM")
                    return "stopped"
                worker = worker_from(container.host_name, api.inspect_container(container.container_id))
                if time.monotonic() - told < grace_of(worker):
                    return "waiting"
                api.kill(container.container_id, signal="SIGKILL")
        except NotFound:
            return "waiting"
        except APIError as error:
            if error.status_code != _NOT_RUNNING:
                raise
            return "waiting"
        return "killed"

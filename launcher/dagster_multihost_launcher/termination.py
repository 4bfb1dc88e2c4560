"""Ending a run's container, and saying CANCELED once it has ended, without keeping the caller waiting."""

import logging
import threading
from collections.abc import Callable

from dagster import DagsterInstance
from docker.errors import APIError, NotFound

from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.worker import Labels, Worker

_CALLER_WAITS = 1.5  # seconds; a worker that ends at once is reported at once
_DOCKER_ACCEPTS_STOP = 10  # seconds of grace if the container does not say

logger = logging.getLogger("dagster.multihost_launcher")


def grace_of(worker: Worker) -> int:
    """Return the seconds between SIGTERM and SIGKILL that the container was created with."""
    grace = worker.config.get("StopTimeout")
    return _DOCKER_ACCEPTS_STOP if grace is None else int(grace)


class Terminations:
    """Runs that are being ended, each in a thread of its own."""

    def __init__(self, hosts: Hosts, labels: Labels) -> None:
        self._hosts = hosts
        self._labels = labels
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._closing = threading.Event()

    def begin(
        self,
        instance: DagsterInstance,
        run_id: str,
        find: Callable[[], Worker | None],
        *,
        caller_waits: float = _CALLER_WAITS,
    ) -> None:
        """Start ending a run that is CANCELING; `find` looks for its container each time it is called.

        A host that does not answer is tried again until it does: the run stays CANCELING meanwhile.
        """
        with self._lock:
            thread = self._threads.get(run_id)
            if thread is None or not thread.is_alive():
                thread = threading.Thread(
                    target=self._end,
                    args=(instance, run_id, find),
                    name=f"terminate-{run_id[:8]}",
                    daemon=True,
                )
                self._threads = {key: other for key, other in self._threads.items() if other.is_alive()}
                self._threads[run_id] = thread
                thread.start()
        thread.join(caller_waits)

    def under_way(self, run_id: str) -> bool:
        """Say whether this process is ending the run."""
        with self._lock:
            thread = self._threads.get(run_id)
        return thread is not None and thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for those under way, `timeout` seconds for each at most."""
        for thread in tuple(self._threads.values()):
            thread.join(timeout)

    def close(self) -> None:
        """Stop trying; what is not done yet is left to the daemon's reaper."""
        self._closing.set()

    def _end(self, instance: DagsterInstance, run_id: str, find: Callable[[], Worker | None]) -> None:
        reported = False
        while not self._closing.is_set():
            try:
                worker = find()
                if worker:
                    self._stop(self._hosts.named(worker.host_name), worker, run_id)
                _report_canceled(instance, run_id, worker)
                return
            except HostUnreachable as error:
                if not reported:
                    reported = True
                    _report(instance, run_id, f"{error.reason}. The run is ended as soon as it answers.")
                self._closing.wait(error.retry_after_seconds)
            except Exception:
                logger.exception("Run %s could not be terminated", run_id)
                return

    def _stop(self, connection: HostConnection, worker: Worker, run_id: str) -> None:
        """Stop the worker, which tells its steps' containers to end; then end those that it left."""
        with connection.api() as api:
            if worker.status == "created":  # a launch is about to start it: then there is nothing to start
                _unless_gone(lambda: api.remove_container(worker.container_id, force=True, v=True))
            elif worker.alive:
                _unless_gone(lambda: api.stop(worker.container_id, timeout=grace_of(worker)))
            filters = {"label": [f"{self._labels.managed}=true", f"{self._labels.prefix}/run_id={run_id}"]}
            for left in api.containers(filters=filters):
                if left["Id"] != worker.container_id:
                    _unless_gone(lambda left=left: api.stop(left["Id"], timeout=grace_of(worker)))  # type: ignore[misc]


def _unless_gone(call: Callable[[], object]) -> None:
    """Call Docker; a container that has ended, is gone or is going, is what is wanted."""
    try:
        call()
    except NotFound:
        return
    except APIError as error:
        if error.status_code not in (304, 409):
            raise


def _report_canceled(instance: DagsterInstance, run_id: str, worker: Worker | None) -> None:
    run = instance.get_run_by_id(run_id)
    if not run or run.is_finished:
        return
    was = "was gone already" if worker is None else "has ended" if worker.alive else "had ended already"
    instance.report_run_canceled(run, f"Its container {was}.")


def _report(instance: DagsterInstance, run_id: str, message: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run:
        instance.report_engine_event(message, run)

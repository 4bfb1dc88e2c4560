"""Finding a run's container again."""

from collections.abc import Sequence

from dagster import DagsterInstance, DagsterRun
from docker.errors import NotFound

from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.settings import Host
from dagster_multihost_launcher.worker import (
    FIRST_ATTEMPT,
    Labels,
    Worker,
    container_name,
    record_of,
    worker_from,
)


class Lookup:
    """Asks hosts for a run's container, by the name that only it can have."""

    def __init__(self, hosts: Hosts, labels: Labels) -> None:
        self._hosts = hosts
        self._labels = labels

    def worker(
        self, instance: DagsterInstance, run: DagsterRun, pool: Sequence[Host], *, attempts_begun: int = 0
    ) -> Worker | None:
        """Return the container of the run's latest attempt, or None if no host has it.

        Without a record in the run's tags, the whole pool is asked: the tags are a hint, the container's
        name and label the truth. `attempts_begun` counts resumes that the storage knows but no container yet.

        Raises:
            HostUnreachable: a host that may have it does not answer, so nothing is known.
        """
        record = record_of(run)
        if record:
            return self._on(self._hosts.named(record.host_name), run, record.attempt)
        attempt = FIRST_ATTEMPT + instance.count_resume_run_attempts(run.run_id) - attempts_begun
        for host in pool:
            found = self._on(self._hosts.named(host.name), run, attempt)
            if found:
                return found
        return None

    def _on(self, connection: HostConnection, run: DagsterRun, attempt: int) -> Worker | None:
        try:
            with connection.api() as api:
                worker = worker_from(
                    connection.name, api.inspect_container(container_name(run.run_id, attempt))
                )
        except NotFound:
            return None
        return worker if self._labels.run_id(worker.config.get("Labels")) == run.run_id else None

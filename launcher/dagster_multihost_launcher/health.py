"""What a container's state says about its run."""

import signal
from collections.abc import Sequence

from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from docker.errors import APIError

from dagster_multihost_launcher.absence import Absence
from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.worker import Worker

LAST_LINES = 50
_MAY_BECOME_OR_BE_RUNNING = frozenset({"created", "running", "paused", "restarting"})
_KILLED_BY_SIGNAL = 128


def verdict(worker: Worker | None, last_lines: Sequence[str] = ()) -> CheckRunHealthResult:
    """Judge the worker of a run that is not finished. Whatever its exit code, an exit then is a failure."""
    if worker is None:
        return CheckRunHealthResult(
            WorkerStatus.FAILED, msg="Its container is gone: somebody or something removed it."
        )
    if worker.status in _MAY_BECOME_OR_BE_RUNNING:
        return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=worker.container_id)
    lines = f"\nIts last {len(last_lines)} lines:\n" + "\n".join(last_lines) if last_lines else ""
    return CheckRunHealthResult(
        WorkerStatus.FAILED,
        msg=f"Its container on {worker.host_name} is {worker.status}: {how_it_ended(worker)}.{lines}",
        run_worker_id=worker.container_id,
    )


def lost(error: HostUnreachable, absence: Absence, limit: int) -> CheckRunHealthResult:
    """Judge the worker of a run on a host that has not answered for too long."""
    return CheckRunHealthResult(
        WorkerStatus.FAILED,
        msg=f"{error.reason}. It has not answered {absence.in_words}; after host_lost_after_seconds ({limit})"
        " its runs count as failed. Their containers are stopped when it answers again.",
    )


def how_it_ended(worker: Worker) -> str:
    """Return exit code, signal, lack of memory and Docker's own error in words."""
    code = int(worker.state.get("ExitCode", 0))
    facts = [f"exit code {code}"]
    if code > _KILLED_BY_SIGNAL:
        facts.append(f"killed by {_signal_name(code - _KILLED_BY_SIGNAL)}")
    if worker.state.get("OOMKilled"):
        facts.append("out of memory (raise mem_limit in container_kwargs)")
    if error := worker.state.get("Error"):
        facts.append(f"Docker says: {error}")
    return ", ".join(facts)


def last_lines(connection: HostConnection, worker: Worker, count: int = LAST_LINES) -> list[str]:
    """Return the end of the container's output; a log driver that cannot be read gives nothing."""
    try:
        with connection.api() as api:
            output = api.logs(worker.container_id, tail=count, stream=False)
    except APIError as error:
        return [f"(its output cannot be read: {error.explanation})"]
    return bytes(output).decode("utf-8", errors="replace").splitlines()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""What goes wrong in a launch, told apart by whether a retry can heal it."""

from collections.abc import Sequence

from dagster import DagsterError
from dagster._core.errors import DagsterUserCodeUnreachableError


class LauncherConfigError(DagsterError):
    """The run launcher's configuration cannot be used; the message lists every problem and its fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("run_launcher in dagster.yaml cannot be used:\n- " + "\n- ".join(problems))


class LaunchError(DagsterError):
    """No retry heals this: a missing image, a missing network, a refused certificate. Says how to mend it."""


class RunPostponed(DagsterUserCodeUnreachableError):  # noqa: N818 - an outcome, not an error
    """The run cannot start now and should go back to the queue.

    The base class makes Dagster's queue daemon requeue it. A queue daemon that knows more reads `reason`
    (for people) and `retry_after_seconds`; neither package imports the other.
    """

    def __init__(self, reason: str, *, retry_after_seconds: float) -> None:
        super().__init__(f"{reason}; trying again in {retry_after_seconds:g} s")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class HostUnreachable(RunPostponed):
    """A Docker host does not answer, or answers that its dockerd does not.

    `may_be_running` says that the run's container may have started there, so no other host may take it.
    """

    def __init__(
        self, host_name: str, fact: str, *, retry_after_seconds: float, may_be_running: bool = False
    ) -> None:
        super().__init__(
            f"Docker host {host_name} is unreachable: {fact}", retry_after_seconds=retry_after_seconds
        )
        self.host_name = host_name
        self.may_be_running = may_be_running


class NoCapacity(RunPostponed):
    """Every reachable host of the location is at its `max_runs`."""

"""What can be wrong with the configuration, told so that it can be mended."""

from collections.abc import Sequence

from dagster import DagsterError


class CoordinatorConfigError(DagsterError):
    """The run coordinator's configuration cannot be used; the message lists every problem and its fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("run_coordinator in dagster.yaml cannot be used:\n- " + "\n- ".join(problems))

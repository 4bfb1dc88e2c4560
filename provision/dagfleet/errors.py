"""What can go wrong, as a user is told it, and the exit code of each (docs: `dagfleet --help`)."""

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CHANGES_PENDING = 2
EXIT_BAD_CONFIGURATION = 3
EXIT_LOCKED = 4
EXIT_UNREACHABLE = 5


class DagfleetError(Exception):
    """An error that a user can act on: the thing and the fact in the message, the next step in `fix`."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a file: where it stands and what to write instead. `line` counts from 1."""

    line: int | None
    key: str
    fact: str


class ConfigurationError(DagfleetError):
    """The desired state cannot be used: a mistake in fleet.yml, a secret that does not resolve."""

    exit_code = EXIT_BAD_CONFIGURATION


class FleetFileError(ConfigurationError):
    """fleet.yml has mistakes; `problems` lists all of them, in the order of the file."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"{path} cannot be used")
        self.path = path
        self.problems = tuple(problems)


class LockedError(DagfleetError):
    """Another command works on this fleet."""

    exit_code = EXIT_LOCKED


class UnreachableError(DagfleetError):
    """A host does not answer, or does not let us in."""

    exit_code = EXIT_UNREACHABLE

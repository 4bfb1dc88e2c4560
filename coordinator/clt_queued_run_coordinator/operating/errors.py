"""What an operator is told in one sentence, and the exit code that goes with it."""


class OperatingError(Exception):
    """The command cannot do what it was asked; ends with exit code 1."""

    exit_code = 1


class BadConfigurationError(OperatingError):
    """The instance has no queue, or cannot be loaded; ends with exit code 3."""

    exit_code = 3

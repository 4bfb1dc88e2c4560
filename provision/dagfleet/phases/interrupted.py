"""Ctrl-C, told as people need it: what state things are in and what finishes the job."""

from dagfleet.errors import DagfleetError


class StoppedError(DagfleetError):
    """The person stopped the command; `fix` says what state things are in."""

    exit_code = 130

"""The trivial job that the benchmark and the tests run in real containers."""

from dagster import Definitions, in_process_executor, job, op


@op
def one() -> int:
    """Return 1."""
    return 1


@job(executor_def=in_process_executor)
def trivial() -> None:
    """One op that does nothing."""
    one()


defs = Definitions(jobs=[trivial])

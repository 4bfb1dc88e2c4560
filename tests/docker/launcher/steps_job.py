"""A job of three ops, each in a container of its own, that a test runs for real."""

import os
import socket
import time
from pathlib import Path

from dagster import Definitions, Failure, OpExecutionContext, job, op
from dagster_multihost_launcher import docker_executor


@op
def first(context: OpExecutionContext) -> str:
    """Say where it runs, and whether it could reach Docker."""
    reaches_docker = Path("/var/run/docker.sock").exists()
    context.log.info(f"first in {socket.gethostname()}, Docker's socket: {reaches_docker}")
    return f"{socket.gethostname()} {reaches_docker} {os.environ['DAGSTER_RUN_STEP_KEY']}"


@op
def second(context: OpExecutionContext, before: str) -> None:
    """Run elsewhere than the first, but see its output."""
    context.add_output_metadata({"first": before, "second": socket.gethostname()})


@op
def third() -> None:
    """Fail, or wait to be ended, if the environment says so."""
    how = os.environ.get("THIRD")
    if how == "die":
        os._exit(7)
    if how == "fail":
        raise Failure("as asked")
    if how == "wait":
        time.sleep(600)


@job(executor_def=docker_executor)
def steps() -> None:
    """Two steps one after the other, one beside them."""
    second(first())
    third()


defs = Definitions(jobs=[steps])

import os
import time
from pathlib import Path

import dagster as dg

GO_ON = Path("/var/lib/dagfleet/dagster_home/go-on")


@dg.op
def use_the_secret(context: dg.OpExecutionContext) -> None:
    """Succeed with the environment that converge.yml asks for, whatever characters are in it."""
    secret = os.environ["SECRET"]
    context.log.info(f"the secret has {len(secret)} characters")
    if secret != 'it\'s $HOME, `id`, "quoted" \\ and\nlong ' or os.environ["PLAIN"] != "plain $text":
        raise ValueError("the environment is not what it should be")


@dg.job
def check_environment() -> None:
    use_the_secret()


@dg.op
def wait() -> None:
    """Outlast whatever exchanges the code server, until somebody says so."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not GO_ON.exists():
        time.sleep(0.2)


@dg.job(executor_def=dg.in_process_executor)
def long_job() -> None:
    wait()


defs = dg.Definitions(jobs=[check_environment, long_job])

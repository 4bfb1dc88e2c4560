import os

import dagster as dg


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


defs = dg.Definitions(jobs=[check_environment])

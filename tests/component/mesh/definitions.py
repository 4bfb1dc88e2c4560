import dagster as dg


@dg.op
def say() -> None: ...


@dg.job
def greet() -> None:
    say()


defs = dg.Definitions(jobs=[greet])

"""A job that fails on purpose: see what a failed run looks like before one of yours does."""

from difflib import get_close_matches

from dagster import Config, Failure, OpExecutionContext, job, op

from etl import sources


class Airport(Config):
    """Which airport to look up. The default does not exist; put SEA in the launchpad and the job succeeds."""

    iata: str = "SEAA"


@op
def find_airport(context: OpExecutionContext, config: Airport) -> None:
    """Look an airport up in the source, and fail when it is not there."""
    names = {airport["iata"]: airport["name"] for airport in sources.airports()}
    if config.iata not in names:
        alike = get_close_matches(config.iata, names, n=5)
        raise Failure(
            description=f"No airport has the code {config.iata!r}; {len(names)} were searched. This job "
            "fails on purpose. To see it succeed, launch it again with ops.find_airport.config.iata: SEA.",
            metadata={"codes_alike": ", ".join(f"{code} ({names[code]})" for code in alike)},
            allow_retries=False,
        )
    context.log.info(f"{config.iata} is {names[config.iata]}")


@job(description="Fails, on purpose, with a message that says what to do about it.")
def broken_on_purpose() -> None:
    """Look up an airport that does not exist."""
    find_airport()

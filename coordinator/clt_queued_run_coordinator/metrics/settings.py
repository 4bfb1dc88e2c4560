"""The keys under `metrics:`: where the queue daemon serves its metrics."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from dagster import BoolSource, Field, IntSource, StringSource


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """An address to serve on; one that other machines reach must be allowed on purpose."""

    port: int
    host: str = "127.0.0.1"
    allow_remote: bool = False


METRICS_FIELDS = {
    "port": Field(IntSource, description="The TCP port of the page /metrics."),
    "host": Field(
        StringSource,
        is_required=False,
        default_value="127.0.0.1",
        description="The IP address to serve on.",
    ),
    "allow_remote": Field(
        BoolSource,
        is_required=False,
        default_value=False,
        description="Allow an address that other machines reach. The page has no login: guard it yourself.",
    ),
}


def problems(settings: MetricsSettings) -> Iterator[str]:
    """Yield a sentence for each value that cannot be used: its key, the value and the fix."""
    if not 1 <= settings.port <= 65535:
        yield f"metrics.port: {settings.port}: write a port from 1 to 65535"
    try:
        address = ip_address(settings.host)
    except ValueError:
        yield f"metrics.host: {settings.host}: is no IP address; write one such as 127.0.0.1 or ::1"
        return
    if not address.is_loopback and not settings.allow_remote:
        yield (
            f"metrics.host: {settings.host}: other machines reach it and the page has no login;"
            " write 127.0.0.1, or allow_remote: true beside it"
        )

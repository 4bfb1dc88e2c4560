"""Which host of a pool takes a run. Pure: what the hosts carry already comes in as values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from dagster_multihost_launcher import schema
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import Host, size

_GIB = 2**30
_NANO = 1_000_000_000
_DEFAULT_CPU_PERIOD = 100_000  # microseconds: the kernel's, where only a quota is given


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one run takes of its host; 0 for what it does not limit. `memory` is in bytes."""

    location: str = ""
    cpus: float = 0.0
    memory: int = 0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run wants of a host. `shares` is by host, whose container_kwargs may differ."""

    location: str = ""
    strategy: str = schema.LEAST_LOADED
    pin: str | None = None
    avoid: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)

    def share(self, host: Host) -> Share:
        """Return what the run would take of this host."""
        return self.shares.get(host.name) or Share(location=self.location)


Carried = Mapping[str, Sequence[Share]]


def share_of(location: str, kwargs: Mapping[str, Any]) -> Share:
    """Return what these arguments of containers.create() limit a run to."""
    memory = kwargs.get("mem_limit") or 0
    return Share(
        location=location,
        cpus=_cpus(kwargs),
        memory=memory if isinstance(memory, int) else max(size(str(memory)), 0),
    )


def eligible(pool: Sequence[Host], wanted: Wanted) -> list[Host]:
    """Return the hosts that could take the run if they carried nothing.

    Raises:
        LaunchError: there is none, so that no waiting helps; the message says what to change.
    """
    pinned = [host for host in pool if wanted.pin in (None, host.name)]
    if not pinned:
        names = [host.name for host in pool]
        close = get_close_matches(wanted.pin or "", names, n=1)
        raise LaunchError(
            f"The run's tag multihost/host is {wanted.pin}, but {wanted.location} runs on {', '.join(names)}."
            + (f" Did you mean {close[0]}?" if close else " Name one of them, or add it to the pool.")
        )
    labelled = [host for host in pinned if wanted.labels.items() <= host.labels.items()]
    if not labelled:
        have = "; ".join(f"{host.name} has {_words(host.labels)}" for host in pinned)
        raise LaunchError(
            f"No host of {wanted.location} has the labels {_words(wanted.labels)}: {have}. Add them to"
            " `labels` of a host, or correct host_labels or the run's tag multihost/labels."
        )
    big_enough = [host for host in labelled if not list(_too_small(host, wanted.share(host), ()))]
    if not big_enough:
        facts = "; ".join(fact for host in labelled for fact in _too_small(host, wanted.share(host), ()))
        raise LaunchError(f"No host of {wanted.location} is big enough for the run: {facts}. Ask for less.")
    return big_enough


def best(hosts: Sequence[Host], wanted: Wanted, carried: Carried) -> Host | None:
    """Return the host that the strategy prefers among those with room, or None.

    Equally good hosts rank as in the configuration. How full a host is means the share of its scarcest
    capacity, if every host given has one, else the number of its runs.
    """
    free = [host for host in hosts if not list(reasons(host, wanted, carried))]
    with_capacity = all(_fullness(host, ()) is not None for host in hosts)

    def busy(host: Host) -> tuple[float, int]:
        runs = carried.get(host.name, ())
        return (_fullness(host, runs) or 0.0 if with_capacity else len(runs), len(runs))

    def rank(host: Host) -> tuple[float, ...]:
        if wanted.strategy == schema.PACK:
            return tuple(-part for part in busy(host))
        if wanted.strategy == schema.SPREAD:
            same = sum(run.location == wanted.location for run in carried.get(host.name, ()))
            return (same, *busy(host))
        return busy(host)

    return min(free, key=rank, default=None)


def reasons(host: Host, wanted: Wanted, carried: Carried) -> Iterator[str]:
    """Yield why the host cannot take the run now; nothing if it can."""
    runs = carried.get(host.name, ())
    if host.name in wanted.avoid:
        yield f"{host.name} is paused"
    if host.max_runs == 0:
        yield f"{host.name} is drained (max_runs 0)"
    elif host.max_runs is not None and len(runs) >= host.max_runs:
        yield f"{host.name} (max_runs {host.max_runs}) has {len(runs)}"
    yield from _too_small(host, wanted.share(host), runs)


def needs_counting(hosts: Sequence[Host]) -> bool:
    """Say whether the choice depends on what the hosts carry."""
    return len(hosts) > 1 or any(_fullness(host, ()) is not None for host in hosts)


def _too_small(host: Host, share: Share, runs: Sequence[Share]) -> Iterator[str]:
    if host.cpus is not None and share.cpus:
        left = host.cpus - sum(run.cpus for run in runs)
        if share.cpus > left + 1e-9:
            yield f"{host.name} has {_number(left)} of {_number(host.cpus)} cpus left for {share.cpus:g}"
    if host.memory is not None and share.memory:
        left = host.memory - sum(run.memory for run in runs)
        if share.memory > left:
            yield f"{host.name} has {_gib(left)} of {_gib(host.memory)} memory left for {_gib(share.memory)}"


def _fullness(host: Host, runs: Sequence[Share]) -> float | None:
    parts = []
    if host.max_runs is not None:
        parts.append(len(runs) / max(host.max_runs, 1))
    if host.cpus is not None:
        parts.append(sum(run.cpus for run in runs) / host.cpus)
    if host.memory is not None:
        parts.append(sum(run.memory for run in runs) / host.memory)
    return max(parts, default=None)


def _cpus(kwargs: Mapping[str, Any]) -> float:
    if nano := kwargs.get("nano_cpus"):
        return float(nano) / _NANO
    quota = kwargs.get("cpu_quota") or 0
    return max(float(quota), 0.0) / float(kwargs.get("cpu_period") or _DEFAULT_CPU_PERIOD)


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels"


def _number(value: float) -> str:
    return f"{max(value, 0):g}"


def _gib(value: int) -> str:
    return f"{max(value, 0) / _GIB:.3g} GiB"

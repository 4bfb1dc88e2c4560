"""Why a queued run does not start: one sentence, the same as long as nothing about it changes."""

from dataclasses import dataclass
from typing import Literal

Cause = Literal["next", "max_concurrent_runs", "tag", "pool", "pause", "hold", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a run waits for. `limit` and `used` are runs, absent where there is nothing to count."""

    cause: Cause
    name: str
    sentence: str
    limit: int | None = None
    used: int | None = None


NEXT = Reason(cause="next", name="", sentence="It is next.")


def all_runs(limit: int, used: int) -> Reason:
    """The instance's cap on active runs is reached."""
    sentence = (
        "Launching is stopped: max_concurrent_runs is 0."
        if limit == 0
        else f"max_concurrent_runs is reached: {limit} runs are active."
    )
    return Reason(cause="max_concurrent_runs", name="max_concurrent_runs", sentence=sentence,
                  limit=limit, used=used)  # fmt: skip


def tag(constraint: tuple[str, ...], limit: int, used: int) -> Reason:
    """A limit on a tag is reached."""
    name = "=".join(constraint[1:])
    return Reason(cause="tag", name=name, limit=limit, used=used,
                  sentence=f"The limit on tag {name} is reached: {limit} may be active.")  # fmt: skip


def pool(name: str, limit: int, used: int) -> Reason:
    """No slot of an op pool is free."""
    return Reason(cause="pool", name=name, limit=limit, used=used,
                  sentence=f"Pool {name} has no free slot: it has {limit}.")  # fmt: skip


def pause(kind: str, name: str, paused_by: str, why: str) -> Reason:
    """Somebody paused its location, user or host."""
    because = f": {why}" if why else ""
    return Reason(cause="pause", name=f"{kind} {name}",
                  sentence=f"{kind.capitalize()} {name} was paused by {paused_by}{because}.")  # fmt: skip


def hold(kind: str, name: str, why: str) -> Reason:
    """The launcher said: not now."""
    return Reason(cause="hold", name=f"{kind} {name}", sentence=why)


def busy(location: str | None) -> Reason:
    """Earlier launches of its location have not come back yet."""
    sentence = f"Earlier launches of {location or 'its location'} are still under way."
    return Reason(cause="busy", name=location or "", sentence=sentence)

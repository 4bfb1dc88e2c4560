"""First contact with hosts, before anyone logs in."""

from collections.abc import Sequence

from dagfleet.phases.progress import Progress
from dagfleet.probe.target import Target
from dagfleet.probe.trust import accept, greet


def accept_new(targets: Sequence[Target], progress: Progress) -> None:
    """Trust the keys of hosts not met before, and show whose they are; the person asked for it."""
    for key in accept(targets):
        progress.line("trust", f"{key.target.name}  {key.kind} {key.fingerprint} accepted")


def require_known(target: Target) -> None:
    """Raise UnreachableError when nobody has accepted the host's key yet."""
    for error in greet([target]).values():
        raise error

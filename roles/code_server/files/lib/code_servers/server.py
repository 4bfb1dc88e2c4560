"""A code server, whatever it runs in, and what there is to do with one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from code_servers.host import Specification


@dataclass
class Server:
    """A code server of a location. `running` is also true of one that is about to end."""

    name: str
    """Its container or its unit."""
    id: str
    slot: str
    port: int
    version: str
    """What it is made from: an image's id, a release's digest."""
    label: str
    """The part of its specification that it is made of, as JSON."""
    environment: str
    """Since when its secrets were as it has read them."""
    state: str
    running: bool
    served: bool
    """False until new connections went to it."""
    ending: bool = False
    """It was told to end, and takes no new work."""


class Kind(Protocol):
    """What code servers run in."""

    @property
    def made_of(self) -> Sequence[str]:
        """The keys of a specification that a server is made of; the rest says how to go about it."""

    @property
    def version_key(self) -> str:
        """The one of them that names an image or a release."""

    @property
    def patience(self) -> float:
        """Seconds that a server may take to end before it is made to; infinity where its runs end with it."""

    def servers(self, location: str) -> list[Server]:
        """Return a location's servers."""

    def version(self, location: str, reference: str) -> str:
        """Return what the reference names if that is on this host, else an empty text."""

    def require(self, location: str, specification: Specification) -> None:
        """Have the version here; raise Failed."""

    def hold(self, location: str, reference: str, version: str) -> None:
        """Have the reference stand for this version; raise Failed when that is not here any more."""

    def start(self, location: str, specification: Specification, slot: str) -> Server:
        """Start a server in a slot that nobody uses; it need not answer yet."""

    def stumbled(self, server: Server) -> bool:
        """Tell whether a server that was just started has ended since."""

    def check(self, location: str, server: Server, specification: Specification) -> None:
        """Raise Failed when a server that answers cannot do its work."""

    def promote(self, location: str, server: Server) -> None:
        """Make it known as the one that serves, also to the next boot."""

    def last_lines(self, server: Server) -> str:
        """Return what it printed last."""

    def leave_down(self, server: Server) -> None:
        """See to it that it does not come back once it has ended."""

    def ended(self, server: Server) -> bool:
        """Tell whether it has ended."""

    def remove(self, server: Server) -> None:
        """Remove whatever is left of it, ended or not."""

    def discard(self, location: str, reference: str, version: str) -> None:
        """Remove a version that nothing uses; raise Failed when something does."""


def label(kind: Kind, specification: Specification) -> str:
    """Return what a server is made of: nothing in it depends on a secret's value."""
    return json.dumps({key: specification[key] for key in kind.made_of}, sort_keys=True)

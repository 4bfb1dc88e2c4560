"""The one way to Docker that a run's container can be given: the socket of the host that it runs on."""

from collections.abc import Mapping
from typing import Any

INSIDE = "/var/run/docker.sock"


def mounted(socket: str | None) -> Mapping[str, Any]:
    """Return container_kwargs that mount the host's socket where the Docker SDK looks for it."""
    return {"volumes": [f"{socket}:{INSIDE}"]} if socket else {}


def is_mount(bind: str) -> bool:
    """Say whether this entry of a container's Binds is the socket."""
    return bind.split(":")[1:2] == [INSIDE]

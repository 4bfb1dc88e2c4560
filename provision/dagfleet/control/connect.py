"""From a fleet file to its control plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagfleet.control.login import login
from dagfleet.control.plane import Plane
from dagfleet.control.session import Endpoint, Session
from dagfleet.derive.certificates import WEB_NAME

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


def endpoint(fleet_file: "FleetFile") -> Endpoint:
    """Return where the fleet's web UI is."""
    fleet = fleet_file.fleet
    return Endpoint(
        address=fleet.hosts[fleet.control.host].address,
        port=fleet.control.web.port,
        hostname=fleet.control.web.hostname,
        proof=WEB_NAME if fleet.control.web.certificate else None,
        authority=fleet_file.state / "pki" / "mesh" / "ca.crt",
    )


@contextmanager
def session(fleet_file: "FleetFile", users: str) -> Iterator[Session]:
    """Open a session; `users` is the text of the secret behind control.web.users."""
    opened = Session(endpoint(fleet_file), login(users))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def plane(fleet_file: "FleetFile", users: str) -> Iterator[Plane]:
    """Open the control plane."""
    with session(fleet_file, users) as opened:
        yield Plane(opened)

"""Phase: is it really up? Asked the users' way: TLS, login, GraphQL."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dagfleet.control.connect import session
from dagfleet.control.plane import Daemon, LoadedLocation, Plane
from dagfleet.control.session import Session, WebError
from dagfleet.errors import DagfleetError
from dagfleet.fleet.values import secret_name
from dagfleet.phases.work import Work
from dagfleet.probe.units import count

PATIENCE_SECONDS = 60
POLL_SECONDS = 1.0
UNAUTHORIZED = 401


@dataclass(frozen=True)
class Health:
    """What the control plane says of itself."""

    locations: list[LoadedLocation]
    daemons: list[Daemon]

    def complaint(self, expected: list[str]) -> DagfleetError | None:
        """Return what is not as it should be, or None."""
        known = {location.name: location for location in self.locations}
        for name in expected:
            location = known.get(name)
            if location is None:
                return DagfleetError(
                    f"the web server does not know location {name}",
                    fix="apply without --limit, so that the control host learns of it",
                )
            if not location.loaded:
                why = location.error or "it is still loading"
                return DagfleetError(
                    f"location {name} cannot be loaded: {why}",
                    fix="see what its code server says: docker logs "
                    f"dagfleet-location-{name}, or journalctl -u 'dagfleet-location-{name}@*' for a process",
                )
        for daemon in self.daemons:
            if daemon.required and not daemon.healthy:
                return DagfleetError(
                    f"Dagster's daemon {daemon.kind} is not healthy: {daemon.error or 'no heartbeat yet'}",
                    fix="see what it says on the control host: docker logs dagfleet-daemon",
                )
        return None


class Verify:
    """Asks until everything is loaded and healthy, for a minute."""

    title = "verify"

    def run(self, work: Work) -> None:
        """Raise DagfleetError that names what is broken, with its own words."""
        if not work.control_going:
            if work.fleet.control.host not in work.hosts:
                work.progress.line(self.title, "left out: the control host is not among the hosts of --limit")
            return
        started = time.monotonic()
        expected = [
            name
            for name, location in work.fleet.locations.items()
            if not set(location.hosts) <= set(work.stopped)
        ]
        users = work.secrets[secret_name(work.fleet.control.web.users) or ""]
        with (
            work.progress.working(self.title, "asking the web server") as now,
            session(work.fleet_file, users) as web,
        ):
            if web.login is None:
                self._door(web)
                work.progress.line(
                    self.title,
                    "the web UI asks for a login; further questions need one: "
                    "set DAGFLEET_WEB_LOGIN=user:password, the users' secret has hashes only",
                    time.monotonic() - started,
                )
                return
            health = settled(Plane(web), expected, now=now)
            self._door(web)
        work.progress.line(
            self.title,
            f"{count(len(expected), 'location')} loaded · daemons healthy · the web UI asks for a login",
            time.monotonic() - started,
        )
        del health

    def _door(self, web: Session) -> None:
        status = web.anonymous_status()
        if status != UNAUTHORIZED:
            raise DagfleetError(
                f"the web UI lets visitors without a login in (it answered {status}, not {UNAUTHORIZED})",
                fix="stop HAProxy on the control host and see who answers there instead",
            )


def settled(
    plane: Plane,
    expected: list[str],
    *,
    patience: float = PATIENCE_SECONDS,
    now: Callable[[str], None] = lambda _text: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Health:
    """Return the health of a control plane on which nothing is wrong, asking up to `patience` seconds.

    Raises the last complaint.
    """
    deadline = time.monotonic() + patience
    reloaded = False
    while True:
        complaint: DagfleetError | None
        try:
            health = Health(plane.locations(), plane.daemons())
            complaint = health.complaint(expected)
            if complaint is None:
                return health
            # A web server that asked before the code server was up does not ask again by itself at once.
            if not reloaded and any(
                not location.loaded and not location.loading for location in health.locations
            ):
                reloaded = True
                plane.reload()
        except WebError as error:
            complaint = error
        if time.monotonic() >= deadline:
            raise complaint
        now(complaint.message)
        sleep(POLL_SECONDS)

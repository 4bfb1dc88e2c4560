"""Which hosts a code location's runs may use."""

from difflib import get_close_matches

from dagster import DagsterRun

from dagster_multihost_launcher.settings import Host, Settings

NO_LOCATION = ""


def location_of(run: DagsterRun) -> str:
    """Return the run's code location as the control plane recorded it, empty if it did not."""
    return run.remote_job_origin.location_name if run.remote_job_origin else NO_LOCATION


def pool(settings: Settings, location: str) -> tuple[Host, ...]:
    """Return the hosts of a location as the configuration orders them; empty if others start its runs."""
    if settings.location(location).launcher:
        return ()
    named = tuple(host for host in settings.hosts if location in host.location_names)
    if named or not settings.catch_all:
        return named
    return (settings.catch_all,)


def nearest(settings: Settings, location: str) -> str | None:
    """Return the mapped location whose name looks most like this one."""
    known = {name for host in settings.hosts for name in host.location_names}
    known |= {name for name, entry in settings.locations.items() if entry.launcher}
    close = get_close_matches(location, sorted(known), n=1)
    return close[0] if close else None

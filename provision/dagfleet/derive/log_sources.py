"""Where the parts of a fleet write their logs."""

from dataclasses import dataclass

from dagfleet.fleet.model import Fleet

CONTROL_PARTS = ("web", "daemon", "admin")


@dataclass(frozen=True)
class LogSource:
    """A container's or a systemd unit's log on one host."""

    host: str
    container: str | None = None
    unit: str | None = None
    containing: str | None = None
    """Only lines with this text."""

    def command(self, *, lines: int, follow: bool) -> list[str]:
        """Return the command that prints the last `lines` there, and with `follow` what comes after."""
        if self.container:
            return ["docker", "logs", "--tail", str(lines), *(["--follow"] if follow else []), self.container]
        return [
            "journalctl", "--no-pager", "--output", "cat", "--lines", str(lines),
            *(["--follow"] if follow else []),
            *(["--grep", self.containing] if self.containing else []),
            "--unit", str(self.unit),
        ]  # fmt: skip


def location_units(location: str) -> str:
    """Return the pattern of a location's units on a host without Docker: one for each slot."""
    return f"dagfleet-location-{location}@*.service"


def part_logs(fleet: Fleet, part: str) -> list[LogSource]:
    """Return the sources of a location or of web, daemon or admin; empty if the fleet has no such part."""
    if part in CONTROL_PARTS:
        return [LogSource(fleet.control.host, container=f"dagfleet-{part}")]
    if part not in fleet.locations:
        return []
    name = f"dagfleet-location-{part}"
    return [
        LogSource(host, container=name)
        if fleet.hosts[host].runs_docker
        else LogSource(host, unit=location_units(part))
        for host in fleet.locations[part].hosts
    ]

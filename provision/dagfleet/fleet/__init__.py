"""The fleet model: what fleet.yml says, read and checked before any host is touched."""

from dagfleet.fleet.loading import FleetFile, find_fleet_file, load_fleet, parse_fleet
from dagfleet.fleet.model import (
    Control,
    Fleet,
    Host,
    Location,
    Postgres,
    Secret,
    Ssh,
    json_schema,
)

__all__ = [
    "Control",
    "Fleet",
    "FleetFile",
    "Host",
    "Location",
    "Postgres",
    "Secret",
    "Ssh",
    "find_fleet_file",
    "json_schema",
    "load_fleet",
    "parse_fleet",
]

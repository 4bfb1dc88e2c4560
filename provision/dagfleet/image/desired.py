"""What a fleet is to run, named by content, without building any of it."""

from typing import TYPE_CHECKING

from dagfleet.derive.artifacts import Artifacts
from dagfleet.image.control_plane import control_plane_reference
from dagfleet.image.launcher import planned_launcher
from dagfleet.image.process import planned_release

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


def artifacts(fleet_file: "FleetFile") -> Artifacts:
    """Return names and paths of all that the fleet needs built; offline, and quick enough for an inventory.

    `build_control_plane`, `launcher_package` and `process_release` make them.
    """
    fleet = fleet_file.fleet
    return Artifacts(
        control_image=control_plane_reference(fleet),
        launcher=planned_launcher(),
        process_releases={
            name: planned_release(fleet_file, name)
            for name, location in fleet.locations.items()
            if location.requirements
        },
    )

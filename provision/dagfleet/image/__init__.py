"""Images and process releases: named by content, built outside the hosts, sent to them without a registry."""

from dagfleet.image.control_plane import build_control_plane, control_plane_reference
from dagfleet.image.desired import artifacts
from dagfleet.image.endpoint import docker_endpoint
from dagfleet.image.launcher import launcher_package
from dagfleet.image.location import build_location
from dagfleet.image.process import process_release
from dagfleet.image.transfer import PushResult, push

__all__ = [
    "PushResult",
    "artifacts",
    "build_control_plane",
    "build_location",
    "control_plane_reference",
    "docker_endpoint",
    "launcher_package",
    "process_release",
    "push",
]

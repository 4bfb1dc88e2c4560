"""A Dagster run launcher for many Docker hosts, and what belongs to it.

Names are loaded when they are first used: a run container that only writes compute logs needs no Docker SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_multihost_launcher.admin import build_admin_definitions
    from dagster_multihost_launcher.compute_logs import PostgresComputeLogManager
    from dagster_multihost_launcher.executor import docker_executor
    from dagster_multihost_launcher.launcher import MultiHostDockerRunLauncher

_HOMES = {
    "MultiHostDockerRunLauncher": "launcher",
    "PostgresComputeLogManager": "compute_logs",
    "build_admin_definitions": "admin",
    "docker_executor": "executor",
}

__all__ = [
    "MultiHostDockerRunLauncher",
    "PostgresComputeLogManager",
    "build_admin_definitions",
    "docker_executor",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

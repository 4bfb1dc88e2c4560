"""Releases of locations that run as processes: all wheels of one in an archive that installs offline."""

import hashlib
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from dagfleet.derive.artifacts import ProcessRelease
from dagfleet.image.context import write_archive
from dagfleet.image.digest import content_digest
from dagfleet.image.environment import require_complete
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.sources import Sources
from dagfleet.image.target import Target
from dagfleet.image.uv import run_tool
from dagfleet.image.wheels import build_wheel, plugin_digest, plugin_wheels
from dagfleet.paths import cache

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

_PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


def planned_release(fleet_file: "FleetFile", location: str) -> ProcessRelease:
    """Return the release that the location's sources ask for, whether or not its archive was made yet."""
    digest = content_digest(
        [
            ("sources", _sources(fleet_file, location).digest(_target(fleet_file, location)).encode()),
            ("plugins", plugin_digest().encode()),
        ]
    )[:16]
    return ProcessRelease(digest=digest, archive=cache() / "releases" / f"{location}-{digest}.tar")


def process_release(fleet_file: "FleetFile", location: str) -> ProcessRelease:
    """Return the location's release, its archive made if it was missing.

    The archive holds wheels and a requirements.txt that pins each of them, with hashes. Complete as it is,
    it installs with `pip install --no-index --no-deps --find-links FOLDER -r FOLDER/requirements.txt`.
    """
    release = planned_release(fleet_file, location)
    if not release.archive.is_file():
        sources, target = _sources(fleet_file, location), _target(fleet_file, location)
        with scratch_folder() as scratch:
            wheels = _download(sources.lock(target), target, scratch / "wheels")
            projects = [build_wheel(folder) for folder in sources.folders]
            for wheel in (*projects, *plugin_wheels()):
                shutil.copy(wheel, wheels)
            for project in projects:
                require_complete(project, target, wheels=wheels)
            archive = scratch / "release.tar"
            with archive.open("wb") as file:
                write_archive(file, _packed(wheels))
            release.archive.parent.mkdir(parents=True, exist_ok=True)
            archive.rename(release.archive)
    return release


def _target(fleet_file: "FleetFile", location: str) -> Target:
    fleet = fleet_file.fleet
    # A pool has one Python: a rule of fleet.yml sees to it.
    return Target(python=fleet.hosts[fleet.locations[location].hosts[0]].process_python)


def locked_packages(fleet_file: "FleetFile", location: str) -> dict[str, str]:
    """Return the versions that the location's lock pins, by package."""
    return pins(_sources(fleet_file, location).lock(_target(fleet_file, location)))


def pins(lock: str) -> dict[str, str]:
    """Return the versions that the text of a lock pins, by package."""
    return dict(_PIN.findall(lock))


def _sources(fleet_file: "FleetFile", location: str) -> Sources:
    fleet = fleet_file.fleet
    paths = (fleet_file.directory / path for path in fleet.locations[location].requirements)
    return Sources.of(paths, dagster=fleet.dagster.version)


def _packed(wheels: Path) -> dict[str, Path | bytes]:
    entries: dict[str, Path | bytes] = {}
    pins = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        pins.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
        entries[wheel.name] = wheel
    return {**entries, "requirements.txt": "".join(pins).encode()}


def _download(lock: str, target: Target, destination: Path) -> Path:
    # uv keeps no wheels as files. Environments that it makes have no pip, but it can fetch one and run it.
    has_pip = importlib.util.find_spec("pip") is not None
    pip = [sys.executable, "-m", "pip"] if has_pip else [find_uv_bin(), "tool", "run", "pip"]
    requirements = destination.with_suffix(".txt")
    requirements.write_text(lock)
    destination.mkdir()
    platforms = [option for name in target.wheel_platforms for option in ("--platform", name)]
    run_tool(
        [
            *pip, "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--require-hashes",
            "--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python, *platforms,
            "--dest", str(destination), "--requirement", str(requirements),
        ],
        doing="downloading the wheels of a process location",
    )  # fmt: skip
    return destination

"""The launcher's wheel, which hosts lend to containers: their images then need nothing of this project."""

import shutil

from dagfleet.derive.artifacts import LauncherPackage
from dagfleet.image.digest import content_digest
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.wheels import PLUGINS, plugin_digest, plugin_wheels
from dagfleet.paths import cache

_PACKAGE = PLUGINS["launcher"]


def planned_launcher() -> LauncherPackage:
    """Return the wheel that this Dagfleet has, whether or not it was made yet."""
    digest = content_digest([(_PACKAGE, plugin_digest(_PACKAGE).encode())])[:16]
    return LauncherPackage(digest=digest, archive=cache() / "releases" / f"launcher-{digest}.whl")


def launcher_package() -> LauncherPackage:
    """Return the wheel, made if it was missing."""
    package = planned_launcher()
    if not package.archive.is_file():
        (wheel,) = (each for each in plugin_wheels() if each.name.startswith("dagfleet_launcher-"))
        with scratch_folder() as scratch:
            copy = scratch / wheel.name
            shutil.copy(wheel, copy)
            package.archive.parent.mkdir(parents=True, exist_ok=True)
            copy.rename(package.archive)
    return package

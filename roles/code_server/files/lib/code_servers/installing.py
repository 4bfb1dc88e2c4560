"""Installing a release of a location that runs as processes: wheels become a virtual environment, offline."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import IO

from code_servers import versions
from code_servers.host import Failed, run
from code_servers.units import RELEASES

COMPLETE = "complete"


def install(location: str, release: str, archive: IO[bytes] | None = None) -> None:
    """Install a release from its wheels: those in its folder, or an archive of them.

    Raises Failed, with nothing left of it on the disk.
    """
    folder = RELEASES / location / release
    if (folder / COMPLETE).exists():
        return
    for other in RELEASES.glob(f"{location}/*"):
        # What an installation left that was killed.
        if other != folder and not (other / COMPLETE).exists():
            shutil.rmtree(other, ignore_errors=True)
    try:
        if archive:
            _unpack(archive, folder / "wheels")
        _install(folder)
    except (OSError, tarfile.TarError, Failed) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Failed(f"Release {release} of {location} cannot be installed: {_reason(str(error))}") from error
    versions.came(location, release)


def _unpack(archive: IO[bytes], folder: Path) -> None:
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=archive, mode="r|") as files:
        for member in files:
            content = files.extractfile(member)
            if content is None or "/" in member.name:
                raise Failed(f"{member.name} in its archive is no wheel")
            with (folder / member.name).open("wb") as file:
                shutil.copyfileobj(content, file)


def _install(folder: Path) -> None:
    wheels, environment = folder / "wheels", folder / "venv"
    run("/usr/bin/python3", "-m", "venv", "--clear", str(environment))
    run(
        str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install",
        "--no-index", "--no-deps", "--find-links", str(wheels),
        "--requirement", str(wheels / "requirements.txt"),
    )  # fmt: skip
    shutil.rmtree(wheels)
    (folder / COMPLETE).touch()


def _reason(said: str) -> str:
    """Return the line that says why: pip puts advice after it."""
    lines = said.strip().splitlines() or ["it was not said why"]
    return next((line for line in lines if "No space left" in line or line.startswith("ERROR")), lines[-1])

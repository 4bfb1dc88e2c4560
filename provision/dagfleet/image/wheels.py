"""Wheels of our own sources and of users': built once for each content, from a copy of the sources."""

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from dagfleet.errors import ConfigurationError
from dagfleet.image.digest import content_digest, source_files, tree
from dagfleet.image.environment import publish
from dagfleet.image.uv import run_uv
from dagfleet.paths import bundle, cache

PLUGINS = {"coordinator": "clt_queued_run_coordinator", "launcher": "dagster_multihost_launcher"}
_EPOCH = str(
    946684800
)  # 2000-01-01: the date of every file inside a wheel, so that equal sources give equal wheels


def plugin_wheels() -> tuple[Path, ...]:
    """Return the wheels of the coordinator and the launcher: shipped ones, or made from the checkout."""
    if shipped := _shipped():
        return shipped
    return tuple(build_wheel(bundle() / folder, isolated=False) for folder in PLUGINS)


def plugin_digest(*only: str) -> str:
    """Return a digest of the plugins' code, or of the packages named; equal for a checkout and its wheels.

    It builds nothing.
    """
    wanted = only or tuple(PLUGINS.values())
    if shipped := _shipped():
        code = [part for wheel in shipped for part in _packed(wheel, wanted)]
    else:
        code = [
            (f"{package}/{name}", content)
            for folder, package in PLUGINS.items()
            if package in wanted
            for name, content in tree(bundle() / folder / package)
        ]
    return content_digest(sorted(code))


def build_wheel(project: Path, *, isolated: bool = True) -> Path:
    """Return the wheel of a project's folder, from the cache when its sources are unchanged.

    `isolated` fetches the build backend that the project asks for; without it this environment's is used.
    """
    if not (project / "pyproject.toml").is_file() and not (project / "setup.py").is_file():
        raise ConfigurationError(
            f"{project} is no Python project: it has no pyproject.toml",
            fix="write one, so that it can be installed",
        )
    destination = cache() / "wheels" / content_digest(tree(project))[:24]
    if not destination.is_dir():
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as folder:
            # setuptools writes into the sources that it builds.
            sources = _copy(project, Path(folder) / project.resolve().name)
            made = Path(folder) / "made"
            run_uv(
                "build", "--quiet", "--wheel", *([] if isolated else ["--no-build-isolation"]),
                "--python", sys.executable, "--out-dir", str(made), str(sources),
                doing=f"building the wheel of {project}",
                environment={"SOURCE_DATE_EPOCH": _EPOCH},
            )  # fmt: skip
            (made / ".gitignore").unlink(missing_ok=True)
            publish(made, destination)
    return next(destination.glob("*.whl"))


def _shipped() -> tuple[Path, ...]:
    return tuple(sorted((bundle() / "wheels").glob("*.whl")))


def _packed(wheel: Path, wanted: Iterable[str]) -> list[tuple[str, bytes]]:
    packages = tuple(f"{package}/" for package in wanted)
    with zipfile.ZipFile(wheel) as archive:
        return [(name, archive.read(name)) for name in archive.namelist() if name.startswith(packages)]


def _copy(project: Path, destination: Path) -> Path:
    for name, path in source_files(project):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    return destination

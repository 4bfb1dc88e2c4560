"""Python environments made outside an image, as the tree that becomes `/opt/venv` inside it."""

import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image.digest import content_digest
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.target import Target
from dagfleet.image.uv import run_uv
from dagfleet.paths import cache

PREFIX = "/opt/venv"
_SHEBANG = re.compile(rb"\A(?:#!/bin/sh\n'''exec' .*\n' '''|#!.*python.*)\n")
# Where a wheel came from and when: of no use in an image, and different on every machine.
_TRACES = ("direct_url.json", "uv_cache.json")


def locked_environment(lock: str, target: Target) -> Path:
    """Return the tree of the packages in a lock with hashes; wheels only, kept in the cache by content."""
    destination = (
        cache() / "environments" / content_digest([("lock", lock.encode()), (str(target), b"")])[:24]
    )
    if destination.is_dir():
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(lock)
        tree = Path(folder) / "tree"
        _install(["--require-hashes", "--requirements", str(requirements)], target, tree)
        return publish(tree, destination)


def wheel_environment(wheels: Iterable[Path], target: Target, destination: Path) -> Path:
    """Unpack `wheels` alone, without what they depend on, into the tree `destination` and return it."""
    # uv knows a local wheel by its name and date; ours change their content and keep both.
    _install(["--no-index", "--no-cache", *map(str, wheels)], target, destination)
    return destination


def require_complete(
    wheel: Path, target: Target, *, installed: Path | None = None, wheels: Path | None = None
) -> None:
    """Raise ConfigurationError when a project needs what is neither `installed` (a tree) nor in `wheels`.

    A lock that is older than its pyproject.toml is found here rather than by an import on a host.
    """
    with scratch_folder() as scratch:
        packages = target.packages(installed or scratch)
        try:
            run_uv(
                "pip", "install", "--quiet", "--dry-run", "--offline", "--no-index", "--no-cache",
                *_for(target), "--target", str(packages),
                *(("--find-links", str(wheels)) if wheels else ()), str(wheel),
                doing="comparing the lock with the project",
            )  # fmt: skip
        except DagfleetError as error:
            name = wheel.name.split("-")[0]
            raise ConfigurationError(
                f"the requirements.txt of {name} lacks what its pyproject.toml asks for; {error.message}",
                fix="lock it again: uv pip compile --generate-hashes pyproject.toml -o requirements.txt",
            ) from error


def publish(made: Path, destination: Path) -> Path:
    """Move a finished folder to its place in the cache; if another process was faster, its result stands."""
    try:
        made.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise
    return destination


def _install(what: Sequence[str], target: Target, tree: Path) -> None:
    packages = target.packages(tree)
    packages.mkdir(parents=True)
    run_uv(
        "pip", "install", "--quiet", "--no-deps",
        *_for(target), "--target", str(packages), *what,
        doing="installing the packages of an image",
    )  # fmt: skip
    if (packages / "bin").is_dir():
        (packages / "bin").rename(tree / "bin")
        for script in (tree / "bin").iterdir():
            repoint(script)
    for trace in _TRACES:
        for path in packages.glob(f"*.dist-info/{trace}"):
            path.unlink()
    (packages / ".lock").unlink(missing_ok=True)


def _for(target: Target) -> tuple[str, ...]:
    return (
        "--python", sys.executable, "--python-version", target.python,
        "--python-platform", target.uv_platform, "--only-binary", ":all:",
    )  # fmt: skip


def repoint(script: Path) -> None:
    """Make a Python script start the image's Python; leave any other file alone."""
    content = script.read_bytes()
    repointed = _SHEBANG.sub(f"#!{PREFIX}/bin/python\n".encode(), content, count=1)
    if repointed != content:
        script.write_bytes(repointed)

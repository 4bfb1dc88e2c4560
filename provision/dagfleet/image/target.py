"""What packages are chosen for: the Python and the processor of the fleet, not those of this process."""

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.versions import PYTHON

Architecture = Literal["x86_64", "aarch64"]
_KNOWN: dict[str, Architecture] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
}
_OLDEST_GLIBC, _GLIBC = 5, 28  # wheels for glibc 2.28 run on Debian 11 and RHEL 8, and on everything later


def architecture(name: str) -> Architecture:
    """Return the architecture that Docker, uname or Python calls `name`."""
    if (known := _KNOWN.get(name.lower())) is None:
        raise ConfigurationError(
            f'the processor architecture "{name}" is not supported', fix="use x86_64 or aarch64 machines"
        )
    return known


def operators_architecture() -> Architecture:
    """Return the architecture of this machine, which hosts are taken to share."""
    return architecture(platform.machine())


@dataclass(frozen=True, kw_only=True)
class Target:
    """A Python release and an architecture, both of Linux with glibc."""

    python: str = PYTHON
    architecture: Architecture = field(default_factory=operators_architecture)

    @property
    def uv_platform(self) -> str:
        """How uv names it."""
        return f"{self.architecture}-manylinux_2_{_GLIBC}"

    @property
    def wheel_platforms(self) -> tuple[str, ...]:
        """The platform tags of wheels that run on it."""
        old = ("manylinux1", "manylinux2010", "manylinux2014")
        return (
            *(f"manylinux_2_{minor}_{self.architecture}" for minor in range(_OLDEST_GLIBC, _GLIBC + 1)),
            *(f"{name}_{self.architecture}" for name in old),
        )

    def packages(self, environment: Path) -> Path:
        """Return where the packages of an environment lie."""
        return environment / "lib" / f"python{self.python}" / "site-packages"

    def __str__(self) -> str:
        return f"cpython-{self.python}-linux-{self.architecture}"

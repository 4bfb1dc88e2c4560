"""What was built for a fleet before it is applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ProcessRelease:
    """A location's Python packages: a tar of wheels and requirements.txt, and the digest of its content."""

    digest: str
    archive: Path


@dataclass(frozen=True, kw_only=True)
class LauncherPackage:
    """The launcher's wheel: containers import from it what stores compute logs."""

    digest: str
    archive: Path


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """The control plane's image, the launcher's wheel, a release for each location that runs as a process."""

    control_image: str
    launcher: LauncherPackage
    process_releases: Mapping[str, ProcessRelease]

"""Build hook: puts roles, playbooks, image contexts and both plugins' wheels into the `dagfleet` wheel."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REPOSITORY = Path(__file__).resolve().parent.parent
BUNDLED = (
    "ansible.cfg",
    "images",
    "inventory/example",
    "inventory/lab",
    "playbooks",
    "plugins",
    "requirements/control-plane-1.12.in",
    "requirements/control-plane-1.12.txt",
    "requirements/control-plane.in",
    "requirements/control-plane.txt",
    "roles",
)
GENERATED = {"__pycache__", ".dagfleet", ".build"}


class BundleHook(BuildHookInterface[Any]):
    """Adds the repository's data folders under `dagfleet/_bundle`; editable installs read them in place."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Register every bundled file with the wheel being built."""
        if version == "editable":
            return
        include = build_data["force_include"]
        for name in BUNDLED:
            source = REPOSITORY / name
            for file in sorted([source] if source.is_file() else source.rglob("*")):
                relative = file.relative_to(REPOSITORY)
                if file.is_file() and not GENERATED.intersection(relative.parts) and file.suffix != ".pyc":
                    include[str(file)] = f"dagfleet/_bundle/{relative}"
        # Kept until the process ends: hatchling reads the files after this method returns.
        self._wheels = tempfile.TemporaryDirectory()
        for plugin in ("coordinator", "launcher"):
            subprocess.run(
                [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--no-build-isolation",
                 "--python", sys.executable, "--out-dir", self._wheels.name, str(REPOSITORY / plugin)],
                check=True,
            )  # fmt: skip
        for wheel in Path(self._wheels.name).glob("*.whl"):
            include[str(wheel)] = f"dagfleet/_bundle/wheels/{wheel.name}"

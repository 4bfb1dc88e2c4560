"""An environment for each launcher that cannot live beside ours, made by uv and kept under .build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OURS = sys.executable
# The reference has our import name: the two in one environment would be a mixture of both.
REFERENCE = "dagster-multihost-launcher==0.2.0"


def reference() -> str:
    """Return the Python of an environment with the reference launcher, on the Dagster that ours runs on."""
    pins = [
        f"{name}=={version(name)}" for name in ("dagster", "dagster-postgres", "dagster-docker", "docker")
    ]
    return _environment("launcher-reference", [REFERENCE, *pins, "sqlalchemy<2.1"])


def _environment(name: str, requirements: list[str]) -> str:
    folder = ROOT / ".build" / "environments" / name
    python, stamp = folder / "bin" / "python", folder / "requirements"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
        stamp.write_text(wanted)
    return str(python)

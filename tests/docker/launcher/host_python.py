"""Containers that see this machine's Python: a real run worker without building an image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ssl")


def kwargs(*, readable: tuple[Path, ...] = (), writable: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return container_kwargs that mount this interpreter, its packages and these folders where they are."""
    root = Path(__file__).resolve().parents[3]
    seen = {*_SYSTEM, sys.prefix, sys.base_prefix, str(root), *(str(path) for path in readable)}
    mounted = sorted(path for path in seen if Path(path).exists())
    return {
        "volumes": [
            *(f"{os.path.realpath(path)}:{path}:ro" for path in mounted),
            *(f"{path}:{path}:rw" for path in writable),
        ]
    }


def environment() -> list[str]:
    """Return env_vars that find it."""
    root = Path(__file__).resolve().parents[3]
    paths = [str(root), *(str(root / name) for name in ("launcher", "coordinator"))]
    return [f"PATH={Path(sys.executable).parent}:/usr/bin:/bin", f"PYTHONPATH={':'.join(paths)}", "HOME=/tmp"]

"""Running uv: to choose and unpack wheels it needs neither the target's Python nor its platform."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from dagfleet.errors import DagfleetError

_SECONDS = 1800
_LAST_LINES = 12


def run_uv(*arguments: str, doing: str, environment: Mapping[str, str] | None = None) -> str:
    """Run `uv` with `arguments` and return what it printed; `doing` names the work in the error."""
    return run_tool([find_uv_bin(), *arguments], doing=doing, environment=environment)


def run_tool(
    command: Sequence[str | Path], *, doing: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run a packaging tool; raise DagfleetError with its own last lines when it fails."""
    # Links into uv's cache would tie the result to the cache's file system, and to its cleaning.
    variables = {**os.environ, "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1", **(environment or {})}
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DagfleetError(
            f"{doing} took longer than {_SECONDS // 60} minutes", fix="check the network to the package index"
        ) from error
    if done.returncode:
        raise DagfleetError(
            f"{doing} failed:\n{_end(done.stderr or done.stdout)}", fix="mend that, then try again"
        )
    return done.stdout


def _end(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.strip().splitlines()[-_LAST_LINES:])

"""Whether this process is Dagster's daemon: only it looks after containers."""

import sys
from pathlib import Path

# The second one runs the same daemons with another queue (dagfleet-coordinator).
_COMMANDS = frozenset({"dagster-daemon", "dagster-fleet-daemon"})
_MODULE = ("dagster", "_daemon", "__main__.py")


def is_daemon() -> bool:
    """Say whether it was started as a daemon command or as `dagster dev` starts it.

    Another command that runs the daemons is recognised at its first launch or health check.
    """
    program = Path(sys.argv[0]) if sys.argv else Path()
    return program.name in _COMMANDS or program.parts[-len(_MODULE) :] == _MODULE

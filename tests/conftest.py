"""What every suite shares: its failures, kept for the last lines of `make test`."""

import os
import signal
from pathlib import Path

import pytest

# Started in the background by a shell without job control, a process and its children ignore SIGINT, and with
# it Dagster's servers ignore SIGTERM: tests that end somebody would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Append each failure and its reason, a line each, to the file that DAGFLEET_FAILURES names."""
    kept = os.environ.get("DAGFLEET_FAILURES")
    # pytest-xdist's workers report to their controller, which comes here too.
    if not kept or hasattr(terminalreporter.config, "workerinput"):
        return
    with Path(kept).open("a") as lines:
        for report in terminalreporter.getreports("failed") + terminalreporter.getreports("error"):
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message.splitlines()[0] if crash and crash.message else "see above"
            lines.write(f"{report.nodeid}: {reason}\n")

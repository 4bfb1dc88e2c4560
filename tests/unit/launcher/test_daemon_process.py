from __future__ import annotations

import sys

import pytest
from dagster_multihost_launcher.daemon_process import is_daemon


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/opt/venv/bin/dagster-daemon", True),
        ("/opt/venv/lib/python3.11/site-packages/dagster/_daemon/__main__.py", True),
        ("/opt/venv/bin/dagster-webserver", False),
        ("/opt/venv/bin/dagster", False),
        ("-c", False),
    ],
)
def test_the_daemon_is_known_by_its_command(
    monkeypatch: pytest.MonkeyPatch, program: str, expected: bool
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "run"])
    assert is_daemon() is expected

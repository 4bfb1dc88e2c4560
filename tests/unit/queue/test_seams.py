"""The guards of what replaces Dagster's queue daemon."""

from __future__ import annotations

import dagster
import pytest
from clt_queued_run_coordinator import seams
from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon
from dagster._daemon import controller
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon


@pytest.fixture(autouse=True)
def stock_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "QueuedRunCoordinatorDaemon", QueuedRunCoordinatorDaemon)


def test_takes_the_place_of_the_installed_dagsters_daemon_under_the_same_type() -> None:
    assert seams.replace_in_controller()
    assert controller.QueuedRunCoordinatorDaemon is FleetQueueDaemon
    assert FleetQueueDaemon.daemon_type() == QueuedRunCoordinatorDaemon.daemon_type()


def test_leaves_an_unknown_version_alone_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dagster, "__version__", "1.14.0")

    assert not seams.replace_in_controller()

    assert controller.QueuedRunCoordinatorDaemon is QueuedRunCoordinatorDaemon
    assert "Dagster's own queue daemon runs, not ours: Dagster 1.14.0 is not 1.12 or 1.13." in caplog.text


def test_leaves_a_daemon_with_other_parameters_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed(QueuedRunCoordinatorDaemon):
        def __init__(self, interval_seconds: int, page_size: int, shard: int) -> None:
            del interval_seconds, page_size, shard

    monkeypatch.setattr(controller, "QueuedRunCoordinatorDaemon", Changed)

    assert seams.objection() == "QueuedRunCoordinatorDaemon takes interval_seconds, page_size, shard"

"""Dagster's own tests of its queue, run against ours; scripts/upstream.sh fetches them."""

from collections.abc import Iterator
from typing import Any

import pytest
from clt_queued_run_coordinator.coordinator import CLTQueuedRunCoordinator
from clt_queued_run_coordinator.queue.daemon import FleetQueueDaemon
from dagster import DagsterInstance
from dagster_tests.core_tests.run_coordinator_tests import test_queued_run_coordinator as of_coordinator
from dagster_tests.daemon_tests import test_queued_run_coordinator_daemon as of_daemon

from tests.upstream.conftest import OURS, Load

LAUNCHER = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
BAD = {
    "bad_run_ids": [of_daemon.BAD_RUN_ID_UUID],
    "bad_user_code_run_ids": [of_daemon.BAD_USER_CODE_RUN_ID_UUID],
}


class TestFleetQueueDaemon(of_daemon.QueuedRunCoordinatorDaemonTests):
    @pytest.fixture
    def instance(
        self, load: Load, run_coordinator_config: dict[str, Any], concurrency_config: dict[str, Any]
    ) -> Iterator[DagsterInstance]:
        settings = {
            "concurrency": concurrency_config,
            "run_coordinator": {**OURS, "config": run_coordinator_config},
            "run_launcher": {**LAUNCHER, "config": BAD},
        }
        with load(settings) as instance:
            yield instance

    @pytest.fixture
    def daemon(self, page_size: int) -> FleetQueueDaemon:
        return FleetQueueDaemon(interval_seconds=1, page_size=page_size)


class TestFleetCoordinator(of_coordinator.TestQueuedRunCoordinator):
    @pytest.fixture
    def instance(self, load: Load) -> Iterator[DagsterInstance]:
        with load({"run_coordinator": OURS, "run_launcher": LAUNCHER}) as instance:
            yield instance

    @pytest.fixture
    def coordinator(self, instance: DagsterInstance) -> CLTQueuedRunCoordinator:
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, CLTQueuedRunCoordinator)
        return coordinator

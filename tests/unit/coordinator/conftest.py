from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget

from tests.unit.launcher.runs import instance_from

Load = Callable[..., WorkspaceProcessContext]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Load]:
    """Load instances with our coordinator and a launcher that only notes what it is given."""
    with ExitStack() as stack:

        def load(settings: dict[str, Any] | None = None, **config: Any) -> WorkspaceProcessContext:
            instance = stack.enter_context(
                instance_from(
                    tmp_path,
                    {
                        "run_coordinator": {
                            "module": "clt_queued_run_coordinator.coordinator",
                            "class": "CLTQueuedRunCoordinator",
                            "config": config,
                        },
                        "run_launcher": {
                            "module": "dagster._core.test_utils",
                            "class": "MockedRunLauncher",
                        },
                        **(settings or {}),
                    },
                )
            )
            return stack.enter_context(WorkspaceProcessContext(instance, EmptyWorkspaceTarget()))

        yield load

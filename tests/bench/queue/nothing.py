"""A launcher that launches nothing and says when it was asked to."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData

_turn = threading.Lock()


def say(**values: Any) -> None:
    """Print one line of JSON; launches come from several threads."""
    with _turn:
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()


class NothingLauncher(RunLauncher, ConfigurableClass):
    """Does what every launcher must and nothing else."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: dict[str, Any]
    ) -> NothingLauncher:
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        say(launched=context.dagster_run.run_id, at=time.time())

    def terminate(self, run_id: str) -> bool:
        raise NotImplementedError(run_id)

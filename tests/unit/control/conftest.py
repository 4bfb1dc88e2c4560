"""Dagster's own GraphQL, in this process, over a location that works and one whose code server is gone."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagfleet.control.plane import Plane

GOOD = """
import dagster as dg

@dg.op
def look(): ...

@dg.job
def glance(): look()

defs = dg.Definitions(jobs=[glance])
"""
# Runs stay queued: none is executed here.
QUEUED = {"run_coordinator": {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}}


@dataclass
class InProcess:
    """Answers like a Session, without the wire."""

    context: Any
    schema: Any

    def query(self, document: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
        result = asyncio.run(
            self.schema.execute_async(
                document, variables=dict(variables or {}), context=self.context.create_request_context()
            )
        )
        assert not result.errors, result.errors
        data: dict[str, Any] = result.data
        return data


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    from dagster._core.instance import DagsterInstance
    from dagster._core.remote_origin import (
        GrpcServerCodeLocationOrigin,
        InProcessCodeLocationOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceLoadTarget
    from dagster_graphql.schema import create_schema

    folder: Path = tmp_path_factory.mktemp("workspace")
    (folder / "good.py").write_text(GOOD)

    class Both(WorkspaceLoadTarget):
        def create_origins(self) -> list[Any]:
            here = LoadableTargetOrigin(executable_path=None, python_file=str(folder / "good.py"))
            return [
                InProcessCodeLocationOrigin(
                    here, container_image=None, entry_point=["dagster"], location_name="good"
                ),
                GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="gone"),
            ]

    with (
        DagsterInstance.local_temp(str(folder), overrides=QUEUED) as instance,
        pytest.warns(UserWarning, match="Error loading repository location gone"),
        WorkspaceProcessContext(instance, Both()) as context,
    ):
        yield InProcess(context, create_schema())


@pytest.fixture
def plane(session: InProcess) -> Plane:
    return Plane(session)  # type: ignore[arg-type]  # the wire is what it leaves out

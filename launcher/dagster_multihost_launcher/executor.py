"""`docker_executor`: each op of a run in a container of its own, on the run's host."""

from collections.abc import Iterator, Mapping
from typing import Any

from dagster import DagsterEvent, Executor, Field, InitExecutorContext, IntSource, MetadataValue, executor
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.events import EngineEventData
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.execution.step_dependency_config import (
    StepDependencyConfig,
    get_step_dependency_config_field,
)
from dagster._core.execution.tags import get_tag_concurrency_limits_config
from dagster._core.executor.step_delegating import StepDelegatingExecutor
from dagster._core.executor.step_delegating.step_handler.base import (
    CheckStepHealthResult,
    StepHandler,
    StepHandlerContext,
)

from dagster_multihost_launcher import environment, health, kwargs, schema, step_container
from dagster_multihost_launcher.errors import HostUnreachable, LauncherConfigError, LaunchError
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.settings import Host, Settings
from dagster_multihost_launcher.step_container import Additions, Step
from dagster_multihost_launcher.worker import CONTAINER_NAME_TAG, HOST_TAG, record_of

_API_VERSION = "1.41"
_HEALTHY = frozenset({"created", "running", "paused", "restarting"})


@executor(
    name="multihost_docker",
    config_schema={
        **schema.step_schema(),
        "retries": get_retries_config(),  # type: ignore[no-untyped-call]
        "max_concurrent": Field(IntSource, is_required=False, description="Most steps of a run at once."),
        "tag_concurrency_limits": get_tag_concurrency_limits_config(),  # type: ignore[no-untyped-call]
        "step_dependency_config": get_step_dependency_config_field(),  # type: ignore[no-untyped-call]
    },
    requirements=multiple_process_executor_requirements(),
)
def docker_executor(init_context: InitExecutorContext) -> Executor:
    """Execute each op in a container like the run's: same host, image, mounts, networks and labels.

    The run's location must have `docker_socket` in the launcher's configuration, and its image this package.
    `image`, `env_vars`, `networks` and `container_kwargs` add to what the run's container has.
    """
    config: dict[str, Any] = dict(init_context.executor_config)
    return StepDelegatingExecutor(
        ContainerSteps(_additions(config)),
        retries=RetryMode.from_config(config["retries"]) or RetryMode.DISABLED,
        max_concurrent=config.get("max_concurrent"),
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        step_dependency_config=StepDependencyConfig.from_config(config.get("step_dependency_config"))
        or StepDependencyConfig.default(),
    )


class ContainerSteps(StepHandler):
    """Starts, judges and ends the containers of steps, by the Docker socket of the run's own host."""

    def __init__(self, additions: Additions) -> None:
        super().__init__()
        self._additions = additions
        self._connection: HostConnection | None = None

    @property
    def name(self) -> str:
        """The name in Dagster's events."""
        return "MultiHostDockerStepHandler"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Start the step's container; raise `LaunchError` if the run's container cannot reach Docker."""
        step, connection = _step(step_handler_context), self._connected(step_handler_context)
        try:
            with connection.api() as api:
                run = api.inspect_container(step_handler_context.dagster_run.tags[CONTAINER_NAME_TAG])
                config = step_container.configuration(step, run, self._additions)
                networks = step_container.further_networks(run, self._additions)
                container_id = step_container.started(
                    api, connection.name, step.container_name, config, networks
                )
        except HostUnreachable as error:
            raise _no_socket(connection.name, error) from error
        yield DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(step.key),
            message=f"Started container {step.container_name} on {connection.name}",
            metadata={"container": MetadataValue.text(container_id[:12])},
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Judge a step that has not said that it ended."""
        step, connection = _step(step_handler_context), self._connected(step_handler_context)
        with connection.api() as api:
            worker = step_container.inspected(api, connection.name, step.container_name)
        if worker is None:
            return CheckStepHealthResult.unhealthy(reason=f"Container {step.container_name} is gone.")
        # Exit code 0: its last event is on its way.
        if worker.status in _HEALTHY or worker.state.get("ExitCode") == 0:
            return CheckStepHealthResult.healthy()
        lines = health.last_lines(connection, worker)
        return CheckStepHealthResult.unhealthy(reason=str(health.verdict(worker, lines).msg))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Tell the step to end; whoever ends the run kills it after the grace."""
        step, connection = _step(step_handler_context), self._connected(step_handler_context)
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(step.key),
            message=f"Stopping container {step.container_name} on {connection.name}",
            event_specific_data=EngineEventData(),
        )
        with connection.api() as api:
            worker = step_container.inspected(api, connection.name, step.container_name)
            if worker and worker.alive:
                api.kill(worker.container_id, signal="SIGTERM")

    def _connected(self, context: StepHandlerContext) -> HostConnection:
        record = record_of(context.dagster_run)
        if record is None:
            raise LaunchError(
                f"docker_executor needs a run in a container, and run {context.dagster_run.run_id} has none:"
                f" its tag {HOST_TAG} is missing. Launch it with MultiHostDockerRunLauncher."
            )
        if self._connection is None:
            self._connection = HostConnection(Host(name=record.host_name), Settings())
        return self._connection


def _step(context: StepHandlerContext) -> Step:
    arguments = context.execute_step_args
    (key,) = arguments.step_keys_to_execute or ()
    state = arguments.known_state
    return Step(
        run_id=context.dagster_run.run_id,
        key=key,
        retry=state.get_retry_state().get_attempt_count(key) if state else 0,
        command=arguments.get_command_args(),
    )


def _additions(config: Mapping[str, Any]) -> Additions:
    given = dict(config.get("container_kwargs") or {})
    problems = list(kwargs.problems("container_kwargs", given))
    if problems:
        raise LauncherConfigError(problems)
    create = kwargs.create_arguments(given, networks=(), version=_API_VERSION)
    networks = (*((config["network"],) if config.get("network") else ()), *(config.get("networks") or ()))
    return Additions(
        image=config.get("image"),
        environment=environment.from_entries(config.get("env_vars") or ()),
        networks=networks,
        host={key: value for key, value in create["host_config"].items() if key != "NetworkMode"},
    )


def _no_socket(host_name: str, error: HostUnreachable) -> LaunchError:
    return LaunchError(
        f"{error.reason}. docker_executor starts containers by the Docker socket of the run's own host: set"
        f" docker_socket of the run's location in the launcher's configuration ({host_name}'s path of the"
        " socket). It makes the code of these runs root on that host."
    )

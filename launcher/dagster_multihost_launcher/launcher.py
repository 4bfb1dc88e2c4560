"""`MultiHostDockerRunLauncher`: each run on the Docker host of its code location."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self

from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._config.config_schema import UserConfigSchema
from dagster._core.instance import DagsterInstance
from dagster._core.launcher.base import (
    CheckRunHealthResult,
    LaunchRunContext,
    ResumeRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from dagster_multihost_launcher import checks, commands, debug, fencing, health, routing, sole
from dagster_multihost_launcher.absence import Absences
from dagster_multihost_launcher.adoption import Adoption, Means
from dagster_multihost_launcher.daemon_process import is_daemon
from dagster_multihost_launcher.delegate import Delegates
from dagster_multihost_launcher.errors import HostUnreachable, LauncherConfigError, LaunchError
from dagster_multihost_launcher.fate import Ages
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.launch import ContainerLauncher
from dagster_multihost_launcher.lookup import Lookup
from dagster_multihost_launcher.metrics import HostState, Metrics
from dagster_multihost_launcher.planning import Request
from dagster_multihost_launcher.reaper import Reaper
from dagster_multihost_launcher.schema import config_schema
from dagster_multihost_launcher.settings import Host, Settings, read
from dagster_multihost_launcher.sweep import Sweeper
from dagster_multihost_launcher.termination import Terminations
from dagster_multihost_launcher.watch import Launching, Watcher
from dagster_multihost_launcher.worker import (
    DOCKER,
    FIRST_ATTEMPT,
    HOST_TAG,
    LAUNCHER_TYPE_TAG,
    Labels,
    Worker,
    record_of,
)

_ACTIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]

logger = logging.getLogger("dagster.multihost_launcher")


class MultiHostDockerRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Starts runs of mapped code locations as containers, and hands the others to `DefaultRunLauncher`.

    Building it and loading an instance with it do no network I/O.
    """

    def __init__(self, settings: Settings, inst_data: ConfigurableClassData | None = None) -> None:
        found = [*sole.problems(), *checks.problems(settings)]
        if found:
            raise LauncherConfigError(found)
        for sentence in checks.warnings(settings):
            logger.warning(sentence)
        self._inst_data = inst_data
        self._settings = settings
        self._labels = Labels(prefix=settings.label_prefix)
        self._metrics = Metrics()
        self._hosts = Hosts(settings, self._metrics)
        self._containers = ContainerLauncher(settings, self._hosts, self._labels)
        self._lookup = Lookup(self._hosts, self._labels)
        self._terminations = Terminations(self._hosts, self._labels)
        self._absences = Absences()
        self._launching = Launching()
        self._adoption = Adoption(
            Means(
                ours=lambda run: run.run_id not in self._launching and self._in_container(run),
                find=self._find,
                launch=self._launch_again,
                retry_after_seconds=settings.retry_after_seconds,
            )
        )
        self._reaper = self._build_reaper(settings)
        self._delegates = Delegates(settings)
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """The configuration this was loaded from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the keys of the reference launcher and of `DockerRunLauncher`, and ours."""
        return config_schema()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Build it from validated configuration; raise `LauncherConfigError` if that is wrong."""
        return cls(read(config_value), inst_data=inst_data)

    @property
    def settings(self) -> Settings:
        """The configuration as values."""
        return self._settings

    @property
    def hosts(self) -> Hosts:
        """The connections to the Docker hosts."""
        return self._hosts

    @property
    def reaper(self) -> Reaper:
        """The thread that looks after runs and containers; it works in the daemon only."""
        return self._reaper

    @property
    def adoption(self) -> Adoption:
        """What the daemon does at its start with launches that were cut off."""
        return self._adoption

    @property
    def labels(self) -> Labels:
        """The labels of this launcher's containers."""
        return self._labels

    def register_instance(self, instance: DagsterInstance) -> None:
        """Take the instance, for other launchers too. In the daemon, the reaper begins its work."""
        super().register_instance(instance)
        self._delegates.register_instance(instance)
        if is_daemon():
            self._work_as_daemon()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's worker.

        Raises:
            LaunchError: no retry heals it; Dagster marks the run as failed.
            RunPostponed: it cannot start now; Dagster's queue daemon puts it back into the queue.
        """
        pool = self._pool(context.dagster_run)
        if not pool:
            self._delegates.launch(self._instance, context)
            return
        command = commands.execute_run(self._instance, context)
        request = Request(context=context, command=command, attempt=FIRST_ATTEMPT)
        with self._launching.of(request.run.run_id):
            self._work_as_daemon()
            self._containers.launch(self._instance, request, pool)

    @property
    def supports_resume_run(self) -> bool:
        """Whether a dead worker's run can go on in a new container: yes."""
        return True

    def resume_run(self, context: ResumeRunContext) -> None:
        """Remove what is left of the previous attempt, then start the next one, on any host of the pool.

        A host that is lost cannot be asked to remove anything: the next attempt starts on another host, and
        the reaper kills the previous one when the lost host answers again.
        """
        run, pool = context.dagster_run, self._pool(context.dagster_run)
        if not self._in_container(run):
            other = self._delegates.launcher_of(run)
            if not other.supports_resume_run:
                raise LaunchError(f"{type(other).__name__}, which has run {run.run_id}, cannot resume a run.")
            other.resume_run(context)
            return
        try:
            previous = record_of(run) or self._lookup.worker(self._instance, run, pool, attempts_begun=1)
            if previous:
                fencing.remove_all_of(self._hosts.named(previous.host_name), self._labels, run.run_id)
        except HostUnreachable as error:
            pool = [host for host in pool if host.name != error.host_name]
            if not self._lost(error.host_name) or not pool:
                raise
        command = commands.resume_run(self._instance, context)
        attempt = FIRST_ATTEMPT + (context.resume_attempt_number or 1)
        request = Request(context=context, command=command, attempt=attempt)
        with self._launching.of(run.run_id):
            self._containers.launch(self._instance, request, pool)

    def terminate(self, run_id: str) -> bool:
        """Ask the run's worker to end. The run is CANCELED once it has, or if it had ended before."""
        instance = self._instance
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if not self._in_container(run):
            return bool(self._delegates.launcher_of(run).terminate(run_id))
        if run.status != DagsterRunStatus.CANCELING:
            instance.report_run_canceling(run)
        self._terminations.begin(
            instance, run_id, lambda: self._lookup.worker(instance, run, self._pool(run))
        )
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring can ask for a worker's health: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Judge the worker of a run that is not finished.

        Raises:
            HostUnreachable: nothing is known, and Dagster then leaves the run alone. A host that has not
                answered for `host_lost_after_seconds` is lost, and its runs' workers have failed.
        """
        self._work_as_daemon()
        if not self._in_container(run):
            other = self._delegates.launcher_of(run)
            if other.supports_check_run_worker_health:
                return other.check_run_worker_health(run)
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, msg=f"{type(other).__name__} has it, and cannot say more."
            )
        try:
            worker = self._lookup.worker(self._instance, run, self._pool(run))
        except HostUnreachable as error:
            absence = self._absences.noticed(self._instance, error.host_name)
            if record_of(run) is None or not self._lost(error.host_name):
                raise
            return health.lost(error, absence, self._settings.host_lost_after_seconds)
        if worker:
            self._absences.answered(self._instance, worker.host_name)
        if worker is None and record_of(run) is None:
            raise LaunchError(
                f"Run {run.run_id} has no container of this launcher, and no tag that it ever had one."
                " If another launcher started it, terminate it there."
            )
        lines: list[str] = []
        if worker and health.verdict(worker).status == WorkerStatus.FAILED:
            lines = health.last_lines(self._hosts.named(worker.host_name), worker)
        return health.verdict(worker, lines)

    def get_run_worker_debug_info(
        self, run: DagsterRun, include_container_logs: bool | None = True
    ) -> str | None:
        """Describe the run's container, or return what the other launcher that has the run says."""
        if not self._in_container(run):
            other = self._delegates.launcher_of(run)
            return other.get_run_worker_debug_info(run, include_container_logs=include_container_logs)
        try:
            worker = self._lookup.worker(self._instance, run, self._pool(run))
            lines: list[str] = []
            if worker and include_container_logs:
                lines = health.last_lines(self._hosts.named(worker.host_name), worker)
        except HostUnreachable as error:
            return error.reason
        return debug.describe(worker, lines)

    def join(self, timeout: int = 30) -> None:
        """Wait for what other launchers have under way, and for terminations."""
        self._delegates.join(timeout)
        self._terminations.join(timeout)

    def dispose(self) -> None:
        """Close the connections to all hosts."""
        self._adoption.close()
        self._reaper.stop()
        self._metrics.close()
        self._terminations.close()
        self._hosts.close()
        self._delegates.dispose()

    def _pool(self, run: DagsterRun) -> Sequence[Host]:
        return routing.pool(self._settings, routing.location_of(run))

    def _find(self, run: DagsterRun) -> Worker | None:
        return self._lookup.worker(self._instance, run, self._pool(run))

    def _launch_again(self, run: DagsterRun) -> None:
        pool = self._pool(run)
        if not pool:
            raise LaunchError(f"docker_hosts does not name {routing.location_of(run)} any more")
        context = LaunchRunContext(dagster_run=run, workspace=None)
        command = commands.execute_run(self._instance, context)
        with self._launching.of(run.run_id):
            request = Request(context=context, command=command, attempt=FIRST_ATTEMPT)
            self._containers.launch(self._instance, request, pool)

    def _in_container(self, run: DagsterRun) -> bool:
        """Say where the run was put; its location may have been mapped otherwise since."""
        if record_of(run):
            return True
        return run.tags.get(LAUNCHER_TYPE_TAG, DOCKER) == DOCKER and bool(self._pool(run))

    def _lost(self, host_name: str) -> bool:
        absence = self._absences.of(host_name)
        return absence is not None and absence.counted >= self._settings.host_lost_after_seconds

    def _build_reaper(self, settings: Settings) -> Reaper:
        reaping = settings.reaping
        ages = Ages(successful=reaping.keep_successful_hours * 3600, failed=reaping.keep_failed_hours * 3600)
        return Reaper(
            reaping,
            self._hosts,
            instance=lambda: self._instance_weakref() if self._instance_weakref else None,
            hosts_of=self._hosts_to_look_at,
            watcher=Watcher(
                find=self._find,
                launching=self._launching,
                terminations=self._terminations,
            ),
            sweepers={connection.name: Sweeper(connection, self._labels, ages) for connection in self._hosts},
            absences=self._absences,
            reaped=self._metrics.reaped,
            at_start=lambda: self._adoption.begin(self._instance),
        )

    def _work_as_daemon(self) -> None:
        """Begin what one process of an instance does for all, the one that launches and judges runs."""
        self._reaper.start()
        if self._settings.metrics:
            self._metrics.serve(self._settings.metrics, self._host_states)

    def _host_states(self) -> list[HostState]:
        return [self._host_state(connection) for connection in self._hosts]

    def _host_state(self, connection: HostConnection) -> HostState:
        on_it = RunsFilter(statuses=_ACTIVE, tags={HOST_TAG: connection.name})
        running, most = self._instance.get_runs_count(on_it), connection.host.max_runs
        return HostState(
            name=connection.name,
            up=self._absences.answers(connection.name),
            breaker=connection.breaker_state,
            running=running,
            free=None if most is None else max(0, most - running),
        )

    def _hosts_to_look_at(self, run: DagsterRun) -> Sequence[str]:
        """Return where to look after a run: at its host, or if it has none yet, at one of its pool."""
        record = record_of(run)
        if record:
            return [record.host_name]
        if run.status != DagsterRunStatus.CANCELING or not self._in_container(run):
            return []
        return [self._pool(run)[0].name]

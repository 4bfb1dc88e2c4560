"""The control plane's answers as values."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dagfleet.control import documents
from dagfleet.control.session import Session, WebError

MOST_ACTIVE = 10_000
FINAL = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


@dataclass(frozen=True)
class LoadedLocation:
    """A code location as the web server sees it. `error` is why it could not be loaded."""

    name: str
    loaded: bool
    loading: bool
    server_id: str | None
    repositories: tuple[str, ...]
    error: str | None


@dataclass(frozen=True)
class Daemon:
    """One of Dagster's daemons."""

    kind: str
    required: bool
    healthy: bool
    error: str | None


@dataclass(frozen=True)
class QueueCounts:
    """How many runs wait and work."""

    queued: int
    starting: int
    running: int


@dataclass(frozen=True)
class RunState:
    """A run: times are Unix times, None until they happen."""

    run_id: str
    job: str
    location: str | None
    status: str
    created: float | None
    started: float | None
    ended: float | None
    tags: Mapping[str, str]

    @property
    def finished(self) -> bool:
        """Tell whether its status will not change any more."""
        return self.status in FINAL

    @property
    def seconds(self) -> float | None:
        """Return how long it has worked, from its start to its end."""
        return None if self.started is None or self.ended is None else self.ended - self.started


@dataclass(frozen=True)
class JobSelector:
    """Which job to launch; `assets` and `partition` narrow it."""

    location: str
    job: str
    repository: str = "__repository__"
    assets: tuple[tuple[str, ...], ...] = ()


class Plane:
    """Asks and commands a control plane through a Session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def locations(self) -> list[LoadedLocation]:
        """Return every code location with its state."""
        answer = self._session.query(documents.LOCATIONS)["workspaceOrError"]
        if answer["__typename"] != "Workspace":
            raise WebError(f"Dagster cannot read its workspace: {headline(answer.get('message', ''))}")
        return [_location(entry) for entry in answer["locationEntries"]]

    def daemons(self) -> list[Daemon]:
        """Return the daemons with their health."""
        statuses = self._session.query(documents.DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return [
            Daemon(
                kind=status["daemonType"],
                required=status["required"],
                healthy=bool(status["healthy"]),
                error=next((headline(error["message"]) for error in status["lastHeartbeatErrors"]), None),
            )
            for status in statuses
        ]

    def queue(self) -> QueueCounts:
        """Return how many runs wait and work."""
        answer = self._session.query(documents.QUEUE)
        return QueueCounts(
            **{state: answer[state].get("count", 0) for state in ("queued", "starting", "running")}
        )

    def launch(
        self,
        selector: JobSelector,
        *,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
        run_config: Mapping[str, object] | None = None,
    ) -> str:
        """Launch a job and return the run's id; raises WebError with Dagster's reason."""
        all_tags = {**(tags or {}), **({"dagster/partition": partition} if partition else {})}
        chosen: dict[str, Any] = {
            "jobName": selector.job,
            "repositoryName": selector.repository,
            "repositoryLocationName": selector.location,
        }
        if selector.assets:
            chosen["assetSelection"] = [{"path": list(path)} for path in selector.assets]
        answer = self._session.query(
            documents.LAUNCH,
            {
                "params": {
                    "selector": chosen,
                    "runConfigData": dict(run_config or {}),
                    "executionMetadata": {"tags": [{"key": key, "value": all_tags[key]} for key in all_tags]},
                }
            },
        )["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            reasons = [error["message"] for error in answer.get("errors", ())] or [answer.get("message", "")]
            raise WebError(
                f"job {selector.job} of {selector.location} was not launched: {headline(reasons[0])}",
                fix="see that the location is loaded and names this job: dagfleet status",
            )
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> RunState:
        """Return a run's state."""
        answer = self._session.query(documents.RUN, {"runId": run_id})["runOrError"]
        if answer["__typename"] != "Run":
            raise WebError(f"run {run_id}: {headline(answer.get('message', 'there is none'))}")
        return _run(answer)

    def active(self) -> list[RunState]:
        """Return the runs that start, work or are being canceled, whoever does the work."""
        answer = self._session.query(documents.ACTIVE, {"limit": MOST_ACTIVE})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise WebError(f"the active runs cannot be listed: {headline(answer.get('message', ''))}")
        return [_run(each) for each in answer["results"]]

    def finished(
        self,
        run_id: str,
        *,
        timeout: float,
        poll: float = 0.5,
        follow: Callable[[RunState], None] = lambda _state: None,
    ) -> RunState:
        """Wait for a run to end and return its last state, or its state after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            state = self.run(run_id)
            follow(state)
            if state.finished or time.monotonic() > deadline:
                return state
            time.sleep(poll)

    def mark_canceled(self, run_id: str) -> None:
        """End a run whose worker can be asked no more; its host is not told."""
        answer = self._session.query(documents.MARK_CANCELED, {"runId": run_id})["terminateRun"]
        if answer["__typename"] != "TerminateRunSuccess":
            raise WebError(f"run {run_id} was not canceled: {headline(answer.get('message', ''))}")

    def reload(self) -> None:
        """Let the web server read its workspace again."""
        answer = self._session.query(documents.RELOAD)["reloadWorkspace"]
        if answer["__typename"] != "Workspace":
            raise WebError(f"the workspace was not reloaded: {headline(answer.get('message', ''))}")


def _run(answer: Mapping[str, Any]) -> RunState:
    return RunState(
        run_id=answer["runId"],
        job=answer["jobName"],
        location=(answer["repositoryOrigin"] or {}).get("repositoryLocationName"),
        status=answer["status"],
        created=answer["creationTime"],
        started=answer["startTime"],
        ended=answer["endTime"],
        tags={tag["key"]: tag["value"] for tag in answer["tags"]},
    )


def _location(entry: Mapping[str, Any]) -> LoadedLocation:
    what = entry["locationOrLoadError"] or {"__typename": None}
    loaded = what["__typename"] == "RepositoryLocation"
    return LoadedLocation(
        name=entry["name"],
        loaded=loaded,
        loading=entry["loadStatus"] == "LOADING",
        server_id=what.get("serverId"),
        repositories=tuple(repository["name"] for repository in what.get("repositories", ())),
        error=None if loaded else _load_error(what),
    )


def _load_error(error: Mapping[str, Any]) -> str | None:
    """Return the innermost cause that people can mend: gRPC's own is a page of its internals."""
    if error["__typename"] != "PythonError":
        return None
    chain = [error, *(error.get("causes") or ())]
    telling = [cause for cause in chain if cause["className"] != "_InactiveRpcError"]
    return headline((telling or chain)[-1]["message"])


def headline(message: str) -> str:
    """Return the line of an error that tells most: the last one that names an exception, else the first."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for line in reversed(lines):
        name = line.partition(":")[0]
        if name.endswith(("Error", "Exception")) and " " not in name:
            return line.removeprefix(name.rpartition(".")[0]).lstrip(".")
    return lines[0] if lines else "no reason given"

"""Every GraphQL document that Dagfleet sends; a test validates each against Dagster's own schema."""

LOCATIONS = """
query DagfleetLocations {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        updatedTimestamp
        locationOrLoadError {
          __typename
          ... on RepositoryLocation {
            serverId
            repositories { name }
            dagsterLibraryVersions { name version }
          }
          ... on PythonError { message className causes { message className } }
        }
      }
    }
    ... on PythonError { message }
  }
}
"""

DAEMONS = """
query DagfleetDaemons {
  instance {
    daemonHealth {
      allDaemonStatuses {
        daemonType
        required
        healthy
        lastHeartbeatTime
        lastHeartbeatErrors { message }
      }
    }
  }
}
"""

QUEUE = """
query DagfleetQueue {
  queued: runsOrError(filter: {statuses: [QUEUED]}, limit: 1) { ... on Runs { count } }
  starting: runsOrError(filter: {statuses: [NOT_STARTED, STARTING]}, limit: 1) { ... on Runs { count } }
  running: runsOrError(filter: {statuses: [STARTED, CANCELING]}, limit: 1) { ... on Runs { count } }
}
"""

LAUNCH = """
mutation DagfleetLaunch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
    ... on RunConflict { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

_RUN_FIELDS = """
fragment RunFields on Run {
  runId
  jobName
  status
  creationTime
  startTime
  endTime
  tags { key value }
  repositoryOrigin { repositoryLocationName }
}
"""

RUN = (
    """
query DagfleetRun($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { ...RunFields }
    ... on RunNotFoundError { message }
    ... on PythonError { message }
  }
}
"""
    + _RUN_FIELDS
)

ACTIVE = (
    """
query DagfleetActive($limit: Int!) {
  runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING]}, limit: $limit) {
    __typename
    ... on Runs {
      results { ...RunFields }
    }
    ... on PythonError { message }
  }
}
"""
    + _RUN_FIELDS
)

MARK_CANCELED = """
mutation DagfleetMarkCanceled($runId: String!) {
  terminateRun(runId: $runId, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) {
    __typename
    ... on TerminateRunFailure { message }
    ... on RunNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

RELOAD = """
mutation DagfleetReload {
  reloadWorkspace {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

RUN_EVENTS = """
query DagfleetRunEvents($runId: ID!) {
  logsForRun(runId: $runId) {
    ... on EventConnection { events { ... on MessageEvent { message } } }
  }
}
"""

ALL = {
    "locations": LOCATIONS,
    "daemons": DAEMONS,
    "queue": QUEUE,
    "launch": LAUNCH,
    "run": RUN,
    "active": ACTIVE,
    "mark_canceled": MARK_CANCELED,
    "reload": RELOAD,
    "run_events": RUN_EVENTS,
}

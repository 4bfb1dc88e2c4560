"""dagster.yaml: the Dagster instance of the control plane."""

from typing import Any

from dagfleet.derive.docker_ssh import launcher_url, over_ssh
from dagfleet.derive.environment import (
    CONTAINER_WRAPPER,
    container_environment,
    container_volumes,
    storage_url,
)
from dagfleet.derive.networks import RUN_NETWORK, run_extra_hosts
from dagfleet.derive.registry import hosts_pull
from dagfleet.derive.yaml_text import yaml_text
from dagfleet.fleet.model import Fleet, Host, Location

CONTROL_FILES = "/etc/dagfleet/control"


def dagster_yaml(fleet: Fleet) -> str:
    """Return dagster.yaml. It holds no secret.

    Limits are the coordinator's alone: `concurrency.runs` would override them without a word.
    """
    return yaml_text(
        {
            "telemetry": {"enabled": False},
            "storage": {"postgres": {"postgres_url": storage_url(fleet)}},
            "run_coordinator": {
                "module": "clt_queued_run_coordinator.coordinator",
                "class": "CLTQueuedRunCoordinator",
                "config": _coordinator(fleet),
            },
            "run_launcher": {
                "module": "dagster_multihost_launcher",
                "class": "MultiHostDockerRunLauncher",
                "config": _launcher(fleet),
            },
            **_compute_logs(fleet),
            # Only a launcher that says a run is gone lets Dagster end it; a restart is a retry's decision.
            "run_monitoring": {
                "enabled": True,
                "poll_interval_seconds": 30,
                "max_resume_run_attempts": 0,
            },
            # One location that hangs must not hold up the others.
            "sensors": {"use_threads": True, "num_workers": 4},
            "schedules": {"use_threads": True, "num_workers": 4},
        }
    )


def _coordinator(fleet: Fleet) -> dict[str, Any]:
    return {
        "max_concurrent_runs": fleet.queue.max_concurrent_runs,
        "dequeue_interval_seconds": fleet.queue.dequeue_interval_seconds,
        "tag_concurrency_limits": [
            {"key": "code_location", "value": name, "limit": location.limits.concurrent_runs}
            for name, location in fleet.locations.items()
            if location.limits.concurrent_runs is not None
        ],
        "user_header": "X-Dagfleet-User",
        **({"admission": fleet.queue.admission.model_dump()} if fleet.queue.admission else {}),
        **({"fair_sharing": fleet.queue.fair_sharing.model_dump()} if fleet.queue.fair_sharing else {}),
        # More than none, so that a launch to a host that is away goes back to the queue.
        "max_user_code_failure_retries": 10,
        "user_code_failure_retry_delay": 30,
    }


def _launcher(fleet: Fleet) -> dict[str, Any]:
    hosts = {
        name: host for name, host in fleet.hosts.items() if host.runs_docker and fleet.locations_on(name)
    }
    locations = {name: location for name, location in fleet.locations.items() if location.image is not None}
    return {
        "docker_hosts": [_docker_host(fleet, name, host) for name, host in hosts.items()],
        "locations": {name: _location(fleet, name, location) for name, location in locations.items()},
        # What a code server asks for must not make it root on the host.
        "container_context": "safe",
        # Where no registry is, a missing image is a mistake to be named, not a pull to be waited for.
        **({} if hosts_pull(fleet) else {"pull_policy": "never"}),
    }


def _compute_logs(fleet: Fleet) -> dict[str, Any]:
    if fleet.compute_logs.store == "local":
        return {}
    return {
        "compute_logs": {
            "module": "dagster_multihost_launcher",
            "class": "PostgresComputeLogManager",
            "config": {
                "postgres_url": storage_url(fleet),
                "retention_days": fleet.compute_logs.retention_days,
            },
        }
    }


def _docker_host(fleet: Fleet, name: str, host: Host) -> dict[str, Any]:
    return {
        "host_name": name,
        **_endpoint(fleet, name, host),
        "location_names": list(fleet.locations_on(name)),
        "network": RUN_NETWORK,
        **{
            key: value
            for key, value in (("max_runs", host.max_runs), ("cpus", host.cpus), ("memory", host.memory))
            if value is not None
        },
        **({"labels": dict(host.labels)} if host.labels else {}),
    }


def _endpoint(fleet: Fleet, name: str, host: Host) -> dict[str, Any]:
    if over_ssh(fleet):
        return {"docker_url": launcher_url(fleet, name)}
    return {
        "docker_url": f"tcp://{host.address}:{host.docker_port}",
        "tls": {
            "ca_cert": f"{CONTROL_FILES}/docker-ca.crt",
            "client_cert": f"{CONTROL_FILES}/launcher.pem",
            "client_key": f"{CONTROL_FILES}/launcher.pem.key",
            "verify": True,
        },
    }


def _location(fleet: Fleet, name: str, location: Location) -> dict[str, Any]:
    environment = container_environment(fleet, location)
    return {
        "env_vars": [f"{key}={value}" for key, value in environment.items()],
        "container_kwargs": {
            "entrypoint": [CONTAINER_WRAPPER],
            "volumes": container_volumes(fleet, name),
            "extra_hosts": run_extra_hosts(fleet),
        },
    }
